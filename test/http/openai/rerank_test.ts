import assert from "node:assert/strict";
import type { InferenceEvent } from "@ark/node/protocol";
import { ask, END, MODEL, type Script, ScriptedAnswers, START } from "../api/scripted_answers.ts";
import { valid } from "../api/validate.ts";
import { failureOf, SCHEMAS, wholeOf } from "./answered.ts";

const PATH = "/v1/rerank";
const DOCUMENTS = ["cold", "warm", "hot", "warm"];
const SCORES: Record<string, number> = { cold: 0.1, warm: 0.5, hot: 0.9 };

/** Scores each document by its word. */
const script: Script = async function* ({ request: { input } }) {
  await Promise.resolve();
  yield START;
  const documents = input.kind === "rerank" ? input.documents : [];
  for (const [index, text] of documents.entries()) yield { type: "score", index, score: SCORES[text] ?? 0 };
  yield END;
};

function post(fields: Record<string, unknown>, answers = new ScriptedAnswers(script)): Promise<Response> {
  return ask(answers, { path: PATH, body: { model: MODEL, query: "heat", ...fields } });
}

Deno.test("POST /v1/rerank gives the best documents first, in Jina's shape", async () => {
  const answers = new ScriptedAnswers(script);
  const body = await wholeOf(await post({ documents: ["cold", { text: "warm" }, "hot", "warm"] }, answers), PATH);
  assert.deepEqual(answers.asked[0]?.request.input, { kind: "rerank", query: "heat", documents: DOCUMENTS });
  assert.deepEqual(body, {
    object: "list",
    model: MODEL,
    usage: { prompt_tokens: 7, total_tokens: 7 },
    results: [
      { index: 2, relevance_score: 0.9 },
      { index: 1, relevance_score: 0.5 },
      { index: 3, relevance_score: 0.5 },
      { index: 0, relevance_score: 0.1 },
    ],
  });
});

Deno.test("POST /v1/rerank gives as many as asked, and their texts where they are wanted", async () => {
  for (const [top_n, count] of [[1, 1], [3, 3], [4, 4], [99, 4], [null, 4]]) {
    assert.equal((await wholeOf(await post({ documents: DOCUMENTS, top_n }), PATH)).results.length, count);
  }
  const { results } = await wholeOf(await post({ documents: DOCUMENTS, top_n: 1, return_documents: true }), PATH);
  assert.deepEqual(results, [{ index: 2, relevance_score: 0.9, document: { text: "hot" } }]);
});

Deno.test("POST /v1/rerank answers texts in the shape of text-embeddings-inference", async () => {
  const plain = await (await post({ texts: ["cold", "hot"] })).json();
  assert.deepEqual(valid(plain, SCHEMAS.rerankTei), [{ index: 1, score: 0.9 }, { index: 0, score: 0.1 }]);
  const texts = await (await post({ texts: ["cold", "hot"], return_text: true, truncate: true })).json();
  assert.deepEqual(valid(texts, SCHEMAS.rerankTei)[0], { index: 1, score: 0.9, text: "hot" });
});

const REFUSED: [Record<string, unknown>, string][] = [
  [{}, "documents"],
  [{ documents: [] }, "documents"],
  [{ documents: "hot" }, "documents"],
  [{ documents: [5] }, "documents[0]"],
  [{ documents: ["a", {}] }, "documents[1].text"],
  [{ documents: ["a", { image: "x" }] }, "documents[1].text"],
  [{ documents: Array(2_049).fill("x") }, "documents"],
  [{ documents: ["a"], query: undefined }, "query"],
  [{ documents: ["a"], query: ["a"] }, "query"],
  [{ documents: ["a"], top_n: 0 }, "top_n"],
  [{ documents: ["a"], top_n: 1.5 }, "top_n"],
  [{ documents: ["a"], return_documents: "yes" }, "return_documents"],
  [{ texts: [] }, "texts"],
  [{ texts: ["a"], raw_scores: true }, "raw_scores"],
];

Deno.test("POST /v1/rerank refuses what is wrong by the name of its field", async () => {
  for (const [fields, param] of REFUSED) {
    const response = await post(fields);
    assert.equal(response.status, 400);
    assert.equal((await failureOf(response)).param, param);
  }
});

Deno.test("POST /v1/rerank fails where the engine leaves out a score", async () => {
  const events: InferenceEvent[] = [START, { type: "score", index: 0, score: 1 }, END];
  const partial = new ScriptedAnswers(async function* () {
    await Promise.resolve();
    yield* events;
  });
  const response = await post({ documents: ["a", "b"] }, partial);
  assert.equal(response.status, 500);
  assert.equal((await failureOf(response)).code, "engine_failed");
});
