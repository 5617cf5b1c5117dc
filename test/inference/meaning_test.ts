/** Vectors and scores on the real engine; the models are tiny, with random weights, and of BERT's architecture. */
import assert from "node:assert/strict";
import { BERT_CONTEXT, BERT_DIMENSIONS, bertModel } from "../support/bert_model.ts";
import { type EngineAnswer, EngineProcess } from "../support/engine_process.ts";
import { withDirectory } from "../support/temporary.ts";

const FIXTURE = "test/fixtures/arkling-9m-q4_0.gguf";
const LITTLE_ENDIAN = true;

async function withModel(
  { task }: { task: "embed" | "rerank" },
  use: (worker: EngineProcess, path: string) => Promise<void>,
): Promise<void> {
  await withDirectory(async (directory) => {
    const path = `${directory}/bert.gguf`;
    await Deno.writeFile(path, bertModel({ rank: task === "rerank" }));
    await using worker = await EngineProcess.load(path, { task });
    await use(worker, path);
  });
}

function vectorsOf({ parts }: EngineAnswer): number[][] {
  return parts.map((part, index) => {
    assert.ok(part.type === "vector" && part.index === index);
    const bytes = Uint8Array.fromBase64(part.values);
    const view = new DataView(bytes.buffer);
    return Array.from({ length: bytes.length / 4 }, (_, at) => view.getFloat32(4 * at, LITTLE_ENDIAN));
  });
}

function scoresOf({ parts }: EngineAnswer): number[] {
  return parts.map((part, index) => {
    assert.ok(part.type === "score" && part.index === index);
    return part.score;
  });
}

function product(a: readonly number[] = [], b: readonly number[] = []): number {
  return a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);
}

Deno.test("A model that embeds turns each text into a vector of length 1, in order", async () => {
  await withModel({ task: "embed" }, async (worker) => {
    assert.equal(worker.model?.context_size, BERT_CONTEXT);
    const embed = (texts: (string | number[])[]) => worker.ask({ input: { kind: "embed", texts } });
    const answer = await embed(["hello there", "zebra", "hello there", ""]);
    const vectors = vectorsOf(answer);
    assert.deepEqual(vectors.map(({ length }) => length), [1, 1, 1, 1].map(() => BERT_DIMENSIONS));
    for (const vector of vectors) assert.ok(Math.abs(product(vector, vector) - 1) < 1e-5);
    assert.deepEqual(vectors[0], vectors[2]);
    assert.ok(product(vectors[0], vectors[1]) < 0.999);
    // Eleven letters and what stands around them; a letter is a token in this vocabulary.
    assert.deepEqual(answer.usage, { prompt_tokens: 12 + 7 + 12 + 2, completion_tokens: 0, cached_tokens: 0 });
    assert.equal(answer.finish_reason, "stop");
    // Which texts were asked before, and by whom, makes no difference.
    assert.deepEqual(vectorsOf(await embed(["zebra"])), [vectors[1]]);
    // Tokens are texts, too, and a text cannot speak the control language.
    const [tokens] = vectorsOf(await embed([[5, 6, 7]]));
    assert.equal(tokens?.length, BERT_DIMENSIONS);
    assert.equal((await embed(["[sep]"])).usage.prompt_tokens, 2 + 5);
    const counted = await worker.ask({ input: { kind: "embed", texts: ["hello there"] }, count_only: true });
    assert.deepEqual([counted.parts, counted.usage.prompt_tokens], [[], 12]);
  });
});

Deno.test("A text that is too long, or tokens that there are not, are refused before anything is computed", async () => {
  await withModel({ task: "embed" }, async (worker) => {
    const embed = (texts: (string | number[])[]) => worker.ask({ input: { kind: "embed", texts } });
    await assert.rejects(embed(["short", "x".repeat(BERT_CONTEXT)]), {
      code: "context_exceeded",
      message: "A text has 66 tokens and the context 64, one of which stays free; shorten the text",
    });
    await assert.rejects(embed([[5, 10_000_000]]), { code: "bad_request" });
    await assert.rejects(worker.ask({ input: { kind: "rerank", query: "a", documents: ["b"] } }), {
      code: "bad_request",
    });
    await assert.rejects(worker.ask({ input: { kind: "completion", prompt: "a" } }), { code: "bad_request" });
    assert.equal(vectorsOf(await embed(["x".repeat(BERT_CONTEXT - 3)])).length, 1);
  });
});

Deno.test("Embedding stops between two texts when it is cancelled, and the next request works", async () => {
  await withModel({ task: "embed" }, async (worker) => {
    const texts = Array.from({ length: 500 }, () => "hello there");
    let seen = 0;
    const asked = worker.ask({ input: { kind: "embed", texts } }, (_, cancel) => {
      if (seen++ === 0) cancel();
    });
    await assert.rejects(asked, { code: "cancelled" });
    assert.ok(seen < texts.length, `${seen} vectors came`);
    assert.equal(vectorsOf(await worker.ask({ input: { kind: "embed", texts: ["a"] } })).length, 1);
  });
});

Deno.test("A model that ranks gives each document a score from 0 to 1 for the query", async () => {
  await withModel({ task: "rerank" }, async (worker) => {
    const rank = (query: string, documents: string[]) => worker.ask({ input: { kind: "rerank", query, documents } });
    const answer = await rank("hello", ["hello", "zebra", "hello"]);
    const scores = scoresOf(answer);
    assert.equal(scores.length, 3);
    for (const score of scores) assert.ok(score > 0 && score < 1);
    assert.equal(scores[0], scores[2]);
    assert.notEqual(scores[0], scores[1]);
    assert.notEqual(scoresOf(await rank("zebra", ["hello"]))[0], scores[0]);
    assert.equal(answer.usage.completion_tokens, 0);
    assert.ok(answer.usage.prompt_tokens > 30);
    await assert.rejects(rank("hello", ["ok", "x".repeat(BERT_CONTEXT)]), { code: "context_exceeded" });
    await assert.rejects(worker.ask({ input: { kind: "embed", texts: ["a"] } }), { code: "bad_request" });
  });
});

Deno.test("A model that writes can embed, too, and one without a head for it cannot rank", async () => {
  await using worker = await EngineProcess.load(FIXTURE, { task: "embed" });
  const vectors = vectorsOf(
    await worker.ask({ input: { kind: "embed", texts: ["The node", "is ready", "The node"] } }),
  );
  assert.deepEqual(vectors[0], vectors[2]);
  assert.ok(Math.abs(product(vectors[0], vectors[0]) - 1) < 1e-5);
  assert.ok(product(vectors[0], vectors[1]) < 0.9999);
  await assert.rejects(EngineProcess.load(FIXTURE, { task: "rerank" }), /not supported for this model/);
});
