import assert from "node:assert/strict";
import { ArkError, type InferenceEvent } from "@ark/node/protocol";
import { END, MODEL, type Scene, ScriptedAnswers, START } from "../api/scripted_answers.ts";
import { vectorOf, wordsOf } from "../../support/fake_answer.ts";
import { askOllama } from "./asking.ts";
import { assertShape } from "./schemas.ts";

const ROOM = 10;

/** Gives vectors as the fake engine does, and refuses texts of more words than there is room. */
class VectorAnswers extends ScriptedAnswers {
  constructor() {
    super((_: Scene) => this.#answer(), [{ id: MODEL, context_length: ROOM }]);
  }

  async *#answer(): AsyncGenerator<InferenceEvent> {
    await Promise.resolve();
    const { input, count_only } = this.asked.at(-1)?.request ?? assert.fail();
    assert.equal(input.kind, "embed");
    const texts = input.kind === "embed" ? input.texts : [];
    const tokens = texts.map((text) => wordsOf(text).length);
    if (Math.max(...tokens) > ROOM && count_only !== true) throw new ArkError("context_exceeded", "It is too long");
    yield { ...START, prompt_tokens: tokens.reduce((sum, each) => sum + each, 0) } as InferenceEvent;
    if (count_only !== true) {
      for (const [index, text] of [...texts.entries()].reverse()) {
        yield { type: "vector", index, values: vectorOf(text) };
      }
    }
    const usage = { prompt_tokens: tokens.reduce((sum, each) => sum + each, 0), completion_tokens: 0 };
    yield { ...END, usage } as InferenceEvent;
  }
}

function words(count: number): string {
  return Array.from({ length: count }, (_, index) => `w${index}`).join(" ");
}

async function embed(answers: ScriptedAnswers, body: Record<string, unknown>, path = "/api/embed") {
  const response = await askOllama(answers, { path, body: { model: MODEL, ...body } });
  const read = await response.json();
  assertShape(response.ok ? path.slice("/api/".length) : "error", read);
  return { status: response.status, body: read };
}

function expected(text: string): number[] {
  return [...new Float32Array(Uint8Array.fromBase64(vectorOf(text)).buffer)];
}

Deno.test("embed() gives one vector for each text, in their order", async () => {
  const answers = new VectorAnswers();
  const one = await embed(answers, { input: "one two" });
  assert.deepEqual(one.body.embeddings, [expected("one two")]);
  assert.equal(one.body.prompt_eval_count, 2);
  const two = await embed(answers, { input: ["one", "two three"], keep_alive: "5m", options: { num_ctx: 512 } });
  assert.deepEqual(two.body.embeddings, [expected("one"), expected("two three")]);
  for (const input of [[], "", undefined]) assert.deepEqual((await embed(answers, { input })).body.embeddings, []);
});

Deno.test("embed() shortens vectors to the dimensions that are asked for, and makes them as long as 1 again", async () => {
  const [short] = (await embed(new VectorAnswers(), { input: "one two", dimensions: 3 })).body.embeddings;
  assert.equal(short.length, 3);
  assert.ok(Math.abs(Math.hypot(...short) - 1) < 1e-9);
  const whole = expected("one two");
  assert.ok(Math.abs(short[0] / short[1] - (whole[0] ?? 0) / (whole[1] ?? 1)) < 1e-6);
  for (const dimensions of [8, 100, 0]) {
    const [vector] = (await embed(new VectorAnswers(), { input: "one two", dimensions })).body.embeddings;
    assert.equal(vector.length, 8);
  }
});

Deno.test("embed() cuts what is too long to the tokens that the model takes, or fails where it must not", async () => {
  const answers = new VectorAnswers();
  const cut = await embed(answers, { input: ["short", words(40)] });
  assert.equal(cut.status, 200);
  assert.equal(cut.body.prompt_eval_count, 1 + ROOM);
  const last = answers.asked.at(-1)?.request.input;
  assert.deepEqual(last?.kind === "embed" ? wordsOf(last.texts[1] ?? "").length : 0, ROOM);
  assert.deepEqual(cut.body.embeddings[0], expected("short"));
  const refused = await embed(answers, { input: words(40), truncate: false });
  assert.equal(refused.status, 400);
  assert.equal((await embed(answers, { prompt: words(40) }, "/api/embeddings")).status, 200);
});

Deno.test("embedding() gives the vector of one text", async () => {
  const answers = new VectorAnswers();
  assert.deepEqual((await embed(answers, { prompt: "one" }, "/api/embeddings")).body, { embedding: expected("one") });
  assert.deepEqual((await embed(answers, { prompt: "" }, "/api/embeddings")).body, { embedding: [] });
});

Deno.test("embed() refuses what is no text, and a model that nobody has", async () => {
  const answers = new VectorAnswers();
  const wrong = [{ input: 1 }, { input: [1, 2] }, { input: [["a"]] }, { input: "x", truncate: "no" }, { model: "" }];
  for (const body of wrong) assert.equal((await embed(answers, body)).status, 400, JSON.stringify(body));
  for (const dimensions of [-1, 1.5, "3"]) assert.equal((await embed(answers, { input: "x", dimensions })).status, 400);
  assert.equal((await embed(answers, { model: "none", input: [] })).status, 404);
  assert.equal(answers.asked.length, 0);
});
