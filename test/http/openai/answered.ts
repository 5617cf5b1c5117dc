/** Reads answers of OpenAI's API as the strictest clients do: every body and chunk is checked against its schema. */
import assert from "node:assert/strict";
import { eventsOf } from "../api/scripted_answers.ts";
import { type Schema, valid } from "../api/validate.ts";
import chatCompletion from "./schemas/chat_completion.json" with { type: "json" };
import chatCompletionChunk from "./schemas/chat_completion_chunk.json" with { type: "json" };
import completion from "./schemas/completion.json" with { type: "json" };
import completionChunk from "./schemas/completion_chunk.json" with { type: "json" };
import embeddings from "./schemas/embeddings.json" with { type: "json" };
import error from "./schemas/error.json" with { type: "json" };
import model from "./schemas/model.json" with { type: "json" };
import modelList from "./schemas/model_list.json" with { type: "json" };
import rerank from "./schemas/rerank.json" with { type: "json" };
import rerankTei from "./schemas/rerank_tei.json" with { type: "json" };

/** All schemas of this family. */
export const SCHEMAS = {
  chatCompletion,
  chatCompletionChunk,
  completion,
  completionChunk,
  embeddings,
  error,
  model,
  modelList,
  rerank,
  rerankTei,
} as const;

/** What a path answers in one piece, and in chunks. */
export const ANSWERS: Readonly<Record<string, { whole: Schema; chunk?: Schema }>> = {
  "/v1/chat/completions": { whole: chatCompletion, chunk: chatCompletionChunk },
  "/v1/completions": { whole: completion, chunk: completionChunk },
  "/v1/embeddings": { whole: embeddings },
  "/v1/rerank": { whole: rerank },
};

// deno-lint-ignore no-explicit-any
type Json = any;

/** A failure's body. */
export async function failureOf(response: Response): Promise<Json> {
  assert.match(response.headers.get("x-request-id") ?? "", /^req_[0-9a-f]{32}$/);
  const body = valid(await response.json(), error);
  assert.match(body.error.message, /^\S.*[^.!]$/);
  return body.error;
}

/** The body of an answer in one piece. */
export async function wholeOf(response: Response, path: string): Promise<Json> {
  const body = await response.json();
  assert.equal(response.status, 200, JSON.stringify(body));
  assert.match(response.headers.get("content-type") ?? "", /^application\/json/);
  return valid(body, ANSWERS[path]?.whole ?? assert.fail(path));
}

/** The chunks of a stream that is complete. */
export async function chunksOf(response: Response, path: string): Promise<Json[]> {
  assert.equal(response.headers.get("content-type"), "text/event-stream", await textOf(response));
  const events = await eventsOf(response);
  assert.equal(events.pop(), "[DONE]");
  return events.map((event) => valid(JSON.parse(event), ANSWERS[path]?.chunk ?? assert.fail(path)));
}

/** Text of a response that is no stream, for messages. */
async function textOf(response: Response): Promise<string> {
  return response.headers.get("content-type") === "text/event-stream" ? "" : await response.text();
}

/**
 * Puts the chunks of a stream together to what the answer is in one piece, and checks what clients rely on: common heads, a
 * role first and once, a reason once and alone, and of each call an id, a type and a name first and once.
 */
export function joined(chunks: readonly Json[]): Json {
  const [{ id, created, model, object }] = chunks as [Json];
  const choices = new Map<number, Json>();
  let usage: Json;
  for (const chunk of chunks) {
    assert.deepEqual([chunk.id, chunk.created, chunk.model, chunk.object], [id, created, model, object]);
    assert.equal(usage, undefined, "Nothing follows what it cost");
    usage = chunk.usage;
    assert.equal(chunk.choices.length, usage === undefined ? 1 : 0);
    for (const choice of chunk.choices) {
      const before = choices.get(choice.index);
      assert.equal(before?.finish_reason ?? null, null, "Nothing follows the reason");
      choices.set(choice.index, "delta" in choice ? chatChoice(before, choice) : completionChoice(before, choice));
    }
  }
  for (const choice of choices.values()) {
    assert.notEqual(choice.finish_reason, null);
    if (choice.message?.content === "" && ("tool_calls" in choice.message || "function_call" in choice.message)) {
      choice.message.content = null;
    }
  }
  const sorted = [...choices.values()].sort((a, b) => a.index - b.index);
  return { model, choices: sorted, ...usage === undefined ? {} : { usage } };
}

function chatChoice(before: Json, { index, delta, logprobs, finish_reason }: Json): Json {
  assert.equal(delta.role, before === undefined ? "assistant" : undefined);
  if (finish_reason !== null) assert.deepEqual(delta, {});
  const message = before?.message ?? { role: "assistant", content: "", refusal: null };
  message.content += delta.content ?? "";
  if (delta.reasoning_content !== undefined) {
    message.reasoning_content = (message.reasoning_content ?? "") + delta.reasoning_content;
  }
  for (const call of delta.tool_calls ?? []) {
    const calls = message.tool_calls ??= [];
    const first = call.index === calls.length;
    assert.ok(first || call.index < calls.length);
    assert.deepEqual([call.id, call.type, call.function.name].map((one) => one !== undefined), [first, first, first]);
    if (first) calls.push({ id: call.id, type: call.type, function: { name: call.function.name, arguments: "" } });
    calls[call.index].function.arguments += call.function.arguments;
  }
  if (delta.function_call !== undefined) {
    assert.equal(delta.function_call.name !== undefined, message.function_call === undefined);
    message.function_call ??= { name: delta.function_call.name, arguments: "" };
    message.function_call.arguments += delta.function_call.arguments;
  }
  const told = added(before?.logprobs, logprobs, ["content"]);
  return { index, message, logprobs: told, finish_reason };
}

function completionChoice(before: Json, { index, text, logprobs, finish_reason }: Json): Json {
  if (finish_reason !== null) assert.equal(text, "");
  const told = added(before?.logprobs, logprobs, ["tokens", "token_logprobs", "top_logprobs", "text_offset"]);
  return { index, text: (before?.text ?? "") + text, logprobs: told, finish_reason };
}

function added(before: Json, more: Json, names: readonly string[]): Json {
  if (!before || !more) return before ?? more;
  return { ...before, ...Object.fromEntries(names.map((name) => [name, [...before[name], ...more[name]]])) };
}
