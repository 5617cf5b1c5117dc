import assert from "node:assert/strict";
import fc from "fast-check";
import type { InferenceEvent } from "@ark/node/protocol";
import { cutVector, vectorNumbers } from "../../../src/http/openai/vector.ts";
import { ask, MODEL, type Script, ScriptedAnswers, START } from "../api/scripted_answers.ts";
import { failureOf, wholeOf } from "./answered.ts";

const PATH = "/v1/embeddings";

function base64(...numbers: number[]): string {
  const bytes = new DataView(new ArrayBuffer(4 * numbers.length));
  const littleEndian = true;
  numbers.forEach((value, at) => bytes.setFloat32(4 * at, value, littleEndian));
  return new Uint8Array(bytes.buffer).toBase64();
}

const END: InferenceEvent = {
  type: "end",
  finish_reason: "stop",
  usage: { prompt_tokens: 5, completion_tokens: 0 },
  timings: { queue_ms: 0, load_ms: 0, prompt_ms: 1, generation_ms: 0 },
};

/** Gives each text the vector [its place, 3, 4, 0], the last text first. */
const script: Script = async function* ({ request, choose }) {
  await Promise.resolve();
  choose("kitchen", null);
  yield START;
  const count = request.input.kind === "embed" ? request.input.texts.length : 0;
  for (let index = count - 1; index >= 0; index--) {
    yield { type: "vector", index, values: base64(index, 3, 4, 0) };
  }
  yield END;
};

async function embed(fields: Record<string, unknown>) {
  const answers = new ScriptedAnswers(script);
  const body = await wholeOf(await ask(answers, { path: PATH, body: { model: MODEL, ...fields } }), PATH);
  const input = answers.asked[0]?.request.input;
  return { body, texts: input?.kind === "embed" ? input.texts : assert.fail() };
}

Deno.test("POST /v1/embeddings takes a text, texts, tokens and lists of tokens, and keeps their order", async () => {
  const cases: [unknown, (string | number[])[]][] = [
    ["one", ["one"]],
    [["one", "two", "three"], ["one", "two", "three"]],
    [[1, 2, 3], [[1, 2, 3]]],
    [[[1, 2], [3]], [[1, 2], [3]]],
  ];
  for (const [input, wanted] of cases) {
    const { body, texts } = await embed({ input });
    assert.deepEqual(texts, wanted);
    assert.deepEqual(body, {
      object: "list",
      data: wanted.map((_, index) => ({ object: "embedding", index, embedding: [index, 3, 4, 0] })),
      model: MODEL,
      usage: { prompt_tokens: 5, total_tokens: 5 },
    });
  }
});

Deno.test("POST /v1/embeddings sends base64 where that is asked, and numbers otherwise", async () => {
  const input = ["a", "b"];
  for (const encoding_format of [undefined, null, "float"]) {
    assert.deepEqual((await embed({ input, encoding_format })).body.data[1].embedding, [1, 3, 4, 0]);
  }
  assert.equal((await embed({ input, encoding_format: "base64" })).body.data[1].embedding, base64(1, 3, 4, 0));
});

Deno.test("POST /v1/embeddings cuts vectors and brings them back to length 1", async () => {
  const { body } = await embed({ input: "a", dimensions: 3 });
  assert.deepEqual(body.data[0].embedding, [0, Math.fround(0.6), Math.fround(0.8)]);
  assert.deepEqual((await embed({ input: "a", dimensions: 4 })).body.data[0].embedding, [0, 3, 4, 0]);
  const packed = await embed({ input: "a", dimensions: 2, encoding_format: "base64" });
  assert.equal(packed.body.data[0].embedding, base64(0, 1));
});

Deno.test("cutVector() gives the first numbers with length 1, for any vector", () => {
  const numbers = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true, min: -100, max: 100 }), {
    minLength: 1,
    maxLength: 64,
  });
  fc.assert(fc.property(numbers, fc.nat(), (vector, at) => {
    const dimensions = 1 + at % vector.length;
    const cut = vectorNumbers(cutVector(base64(...vector), dimensions));
    assert.equal(cut.length, dimensions);
    const before = Math.hypot(...vector.slice(0, dimensions));
    if (dimensions === vector.length || before < 1e-30) return;
    assert.ok(Math.abs(Math.hypot(...cut) - 1) < 1e-5);
    cut.forEach((value, index) => assert.ok(Math.abs(value * before - (vector[index] ?? 0)) < 1e-3));
  }));
});

const REFUSED: [Record<string, unknown>, string][] = [
  [{}, "input"],
  [{ input: [] }, "input"],
  [{ input: "" }, "input"],
  [{ input: ["a", ""] }, "input[1]"],
  [{ input: [[]] }, "input[0]"],
  [{ input: [1, "a"] }, "input"],
  [{ input: ["a", 1] }, "input[1]"],
  [{ input: [[-1]] }, "input[0]"],
  [{ input: [[1.5]] }, "input[0]"],
  [{ input: [2 ** 31] }, "input"],
  [{ input: {} }, "input"],
  [{ input: Array(2_049).fill("x") }, "input"],
  [{ input: "a", encoding_format: "int8" }, "encoding_format"],
  [{ input: "a", dimensions: 0 }, "dimensions"],
  [{ input: "a", dimensions: "4" }, "dimensions"],
  [{ input: "a", dimensions: 5 }, "dimensions"],
  [{ input: "a", model: "" }, "model"],
];

Deno.test("POST /v1/embeddings refuses what is wrong by the name of its field", async () => {
  for (const [fields, param] of REFUSED) {
    const response = await ask(new ScriptedAnswers(script), { path: PATH, body: { model: MODEL, ...fields } });
    assert.equal(response.status, 400);
    assert.equal((await failureOf(response)).param, param);
  }
});

Deno.test("POST /v1/embeddings fails where the engine leaves out a vector, or gives none", async () => {
  const scripts: Script[] = [
    async function* () {
      await Promise.resolve();
      yield* [START, END];
    },
    async function* () {
      await Promise.resolve();
      yield* [START, { type: "vector", index: 7, values: base64(1) } as const, END];
    },
    async function* () {
      await Promise.resolve();
      yield* [START, { type: "vector", index: 0, values: base64(NaN) } as const, END];
    },
  ];
  for (const script of scripts) {
    const response = await ask(new ScriptedAnswers(script), { path: PATH, body: { model: MODEL, input: "a" } });
    assert.deepEqual([response.status, response.headers.get("x-should-retry")], [500, "false"]);
    assert.equal((await failureOf(response)).code, "engine_failed");
  }
});
