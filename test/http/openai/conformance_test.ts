import assert from "node:assert/strict";
import type { InferenceEvent } from "@ark/node/protocol";
import { ask, chat, END, eventsOf, MODEL, ScriptedAnswers, START } from "../api/scripted_answers.ts";

/** What a value must be: exactly these fields, each checked. */
type Shape = (value: unknown, at: string) => void;

function text(value: unknown, at: string): void {
  assert.equal(typeof value, "string", at);
}

function whole(value: unknown, at: string): void {
  assert.ok(Number.isSafeInteger(value) && Number(value) >= 0, at);
}

function only(...allowed: unknown[]): Shape {
  return (value, at) => assert.ok(allowed.includes(value), `${at} is ${value}`);
}

function listOf(length: number, shape: Shape): Shape {
  return (value, at) => {
    assert.ok(Array.isArray(value) && value.length === length, at);
    value.forEach((item, index) => shape(item, `${at}[${index}]`));
  };
}

function object(fields: Record<string, Shape>): Shape {
  return (value, at) => {
    assert.ok(typeof value === "object" && value !== null, at);
    assert.deepEqual(Object.keys(value).sort(), Object.keys(fields).sort(), at);
    for (const [name, shape] of Object.entries(fields)) {
      shape((value as Record<string, unknown>)[name], `${at}.${name}`);
    }
  };
}

const USAGE = object({ prompt_tokens: whole, completion_tokens: whole, total_tokens: whole });
const FINISH = only("stop", "length");

const KINDS = {
  chat: {
    path: "/v1/chat/completions",
    body: chat(),
    id: /^chatcmpl-[0-9a-f]{32}$/,
    chunkObject: "chat.completion.chunk",
    answer: object({
      id: text,
      object: only("chat.completion"),
      created: whole,
      model: only(MODEL),
      choices: listOf(
        1,
        object({
          index: only(0),
          message: object({ role: only("assistant"), content: text, refusal: only(null) }),
          logprobs: only(null),
          finish_reason: FINISH,
        }),
      ),
      usage: USAGE,
    }),
    opening: object({ role: only("assistant"), content: only("") }),
    delta: object({ content: text }),
    finish: object({}),
    choice: (delta: Shape, finish_reason: Shape) =>
      object({ index: only(0), delta, logprobs: only(null), finish_reason }),
    // deno-lint-ignore no-explicit-any
    textOf: (choice: any) => choice.message?.content ?? choice.delta?.content ?? "",
  },
  completion: {
    path: "/v1/completions",
    body: { model: MODEL, prompt: "Once" },
    id: /^cmpl-[0-9a-f]{32}$/,
    chunkObject: "text_completion",
    answer: object({
      id: text,
      object: only("text_completion"),
      created: whole,
      model: only(MODEL),
      choices: listOf(1, object({ index: only(0), text, logprobs: only(null), finish_reason: FINISH })),
      usage: USAGE,
    }),
    opening: null,
    delta: text,
    finish: only(""),
    choice: (delta: Shape, finish_reason: Shape) =>
      object({ index: only(0), text: delta, logprobs: only(null), finish_reason }),
    // deno-lint-ignore no-explicit-any
    textOf: (choice: any) => choice.text,
  },
} as const;

const TEXTS = ["Es war", " einmal\n\n", "", '"data: [DONE]"', "\u2028", "\ud83d", "\ude00", "\0", " Ende"];

function answers(finish_reason: "stop" | "length"): ScriptedAnswers {
  return new ScriptedAnswers(async function* () {
    await Promise.resolve();
    yield START;
    for (const text of TEXTS) yield { type: "text", text, tokens: 1 } satisfies InferenceEvent;
    yield { ...END, finish_reason } as InferenceEvent;
  });
}

for (const [name, kind] of Object.entries(KINDS)) {
  for (const reason of ["stop", "length"] as const) {
    Deno.test(`openaiRoutes() writes a ${name} that ends with ${reason} as OpenAI does, streamed as whole`, async () => {
      const { path, body } = kind;
      const response = await ask(answers(reason), { path, body });
      assert.match(response.headers.get("content-type") ?? "", /^application\/json/);
      const answer = await response.json();
      kind.answer(answer, "answer");
      assert.match(answer.id, kind.id);
      assert.deepEqual(answer.usage, { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 });
      assert.equal(answer.choices[0].finish_reason, reason);

      for (const include_usage of [false, true]) {
        const options = include_usage ? { stream_options: { include_usage } } : {};
        const streamed = await ask(answers(reason), { path, body: { ...body, stream: true, ...options } });
        assert.equal(streamed.headers.get("content-type"), "text/event-stream");
        const data = await eventsOf(streamed);
        assert.equal(data.pop(), "[DONE]");
        const chunks = data.map((json) => JSON.parse(json));
        const head = (choices: Shape, more: Record<string, Shape> = {}) =>
          object({
            id: only(chunks[0].id),
            object: only(kind.chunkObject),
            created: only(chunks[0].created),
            model: only(MODEL),
            choices,
            ...more,
          });
        assert.match(chunks[0].id, kind.id);
        whole(chunks[0].created, "created");
        const texts = chunks.flatMap(({ choices }) => choices).map(kind.textOf).join("");
        assert.equal(texts, kind.textOf(answer.choices[0]));
        assert.equal(texts, TEXTS.join(""));

        if (include_usage) {
          const last = chunks.pop();
          head(listOf(0, only()), { usage: USAGE })(last, "usage");
          assert.deepEqual(last.usage, answer.usage);
        }
        head(listOf(1, kind.choice(kind.finish, only(reason))))(chunks.pop(), "finish");
        if (kind.opening !== null) head(listOf(1, kind.choice(kind.opening, only(null))))(chunks.shift(), "opening");
        assert.equal(chunks.length, TEXTS.filter((one) => one !== "").length);
        for (const chunk of chunks) head(listOf(1, kind.choice(kind.delta, only(null))))(chunk, "chunk");
      }
    });
  }
}
