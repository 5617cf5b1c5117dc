import assert from "node:assert/strict";
import type { AnswerPart, FinishReason, InferenceEvent, TokenLogprob } from "@ark/node/protocol";
import { ask, chat, END, MODEL, type Script, ScriptedAnswers, START, telling } from "../api/scripted_answers.ts";
import { isClosed } from "../api/validate.ts";
import { chunksOf, joined, SCHEMAS, wholeOf } from "./answered.ts";

const CHAT = "/v1/chat/completions";
const COMPLETION = "/v1/completions";

/** An answer of these parts. */
function parts(all: readonly AnswerPart[], finish_reason: FinishReason = "stop"): Script {
  return async function* ({ choose }) {
    await Promise.resolve();
    choose("kitchen", null);
    yield START;
    yield* all;
    yield { ...END, finish_reason } as InferenceEvent;
  };
}

/** Asks for the same in one piece and as a stream, which must agree, and gives the first. */
async function both(
  script: Script,
  { path, body }: { path: string; body: Record<string, unknown> },
  // deno-lint-ignore no-explicit-any
): Promise<any> {
  const whole = await wholeOf(await ask(new ScriptedAnswers(script), { path, body }), path);
  for (const include_usage of [false, true]) {
    const options = include_usage ? { stream_options: { include_usage } } : {};
    const response = await ask(new ScriptedAnswers(script), { path, body: { ...body, stream: true, ...options } });
    const { id: _id, created: _created, object: _object, usage, ...rest } = whole;
    assert.deepEqual(joined(await chunksOf(response, path)), { ...rest, ...include_usage ? { usage } : {} });
  }
  return whole;
}

function texts(...all: string[]): AnswerPart[] {
  return all.map((text) => ({ type: "text", text, tokens: 1 }));
}

const TEXTS = ["Es war", " einmal\n\n", "", '"data: [DONE]"', "\u2028", "\ud83d", "\ude00", "\0", " Ende"];

Deno.test("The schemas refuse every property that they do not know", () => {
  for (const [name, schema] of Object.entries(SCHEMAS)) assert.ok(isClosed(schema), name);
});

Deno.test.each<[string, Record<string, unknown>, "stop" | "length"]>([
  [CHAT, chat(), "stop"],
  [CHAT, chat(), "length"],
  [COMPLETION, { model: MODEL, prompt: "Once" }, "stop"],
  [COMPLETION, { model: MODEL, prompt: "Once" }, "length"],
])("%s writes an answer as OpenAI does, streamed as whole", async (path, body, reason) => {
  const { choices: [choice], usage, model, object } = await both(parts(texts(...TEXTS), reason), { path, body });
  assert.equal(choice.message?.content ?? choice.text, TEXTS.join("").toWellFormed());
  assert.equal(choice.logprobs, null);
  assert.equal(choice.finish_reason, reason);
  assert.deepEqual(usage, { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 });
  assert.deepEqual([model, object], [MODEL, path === CHAT ? "chat.completion" : "text_completion"]);
});

const CALLS: AnswerPart[] = [
  { type: "reasoning", text: "Which ", tokens: 1 },
  { type: "reasoning", text: "tool?", tokens: 1 },
  ...texts("Let me see."),
  { type: "tool_call", index: 0, id: "call_1", name: "weather", tokens: 3 },
  { type: "tool_arguments", index: 0, text: '{"city":', tokens: 1 },
  { type: "tool_arguments", index: 0, text: '"Köln"}', tokens: 1 },
  { type: "tool_call", index: 1, id: "call_2", name: "time.now", tokens: 3 },
  { type: "tool_arguments", index: 1, text: "{}", tokens: 1 },
];

const TOOL = { type: "function", function: { name: "weather", parameters: { type: "object" } } };

Deno.test("A chat calls functions and tells what it thought, streamed as whole", async () => {
  const { choices: [{ message, finish_reason }], usage } = await both(parts(CALLS, "tool_calls"), {
    path: CHAT,
    body: chat({ tools: [TOOL] }),
  });
  assert.equal(finish_reason, "tool_calls");
  assert.equal(message.content, "Let me see.");
  assert.equal(message.reasoning_content, "Which tool?");
  assert.deepEqual(message.tool_calls, [
    { id: "call_1", type: "function", function: { name: "weather", arguments: '{"city":"Köln"}' } },
    { id: "call_2", type: "function", function: { name: "time.now", arguments: "{}" } },
  ]);
  assert.deepEqual(usage.completion_tokens_details, { reasoning_tokens: 2 });
});

Deno.test("A chat that does nothing but call has the content null, and says that it called", async () => {
  // Also where an engine forgets to say why it ended.
  for (const reason of ["tool_calls", "stop"] as const) {
    const { choices: [{ message, finish_reason }] } = await both(parts(CALLS.slice(3), reason), {
      path: CHAT,
      body: chat({ tools: [TOOL] }),
    });
    assert.deepEqual([message.content, finish_reason], [null, "tool_calls"]);
  }
});

Deno.test("A client that knows functions only gets one, as it was before there were tools", async () => {
  const body = chat({ functions: [TOOL.function], function_call: "auto" });
  const { choices: [{ message, finish_reason }] } = await both(parts(CALLS, "tool_calls"), { path: CHAT, body });
  assert.equal(finish_reason, "function_call");
  assert.deepEqual(message.function_call, { name: "weather", arguments: '{"city":"Köln"}' });
  assert.ok(!("tool_calls" in message));
});

Deno.test("Calls in an impossible order are a failure and never a call", async () => {
  const call = CALLS[3] as AnswerPart;
  const written = CALLS[4] as AnswerPart;
  for (const wrong of [[written], [call, call], [{ ...call, index: 1 }], [call, { ...written, index: 1 }]]) {
    const script = parts(wrong as AnswerPart[], "tool_calls");
    const whole = await ask(new ScriptedAnswers(script), { body: chat() });
    assert.deepEqual([whole.status, (await whole.json()).error.code], [500, "engine_failed"]);
    const streamed = await (await ask(new ScriptedAnswers(script), { body: chat({ stream: true }) })).text();
    assert.match(streamed, /"code":"engine_failed"/);
    assert.doesNotMatch(streamed, /\[DONE\]/);
  }
});

function token(text: string, logprob: number, top: number): TokenLogprob {
  const of = (token: string, logprob: number) => ({ token, logprob, bytes: [...new TextEncoder().encode(token)] });
  const others = [of(text, logprob), of(" x", logprob - 1)];
  return { ...of(text, logprob), top: others.slice(0, top) };
}

/** A text without its tokens' probabilities yet, two at once, and one whose text comes later. */
function told(top: number): AnswerPart[] {
  return [
    { type: "text", text: "Hä", tokens: 1, logprobs: [token("Hä", -0.5, top)] },
    { type: "text", text: "llo you", tokens: 2, logprobs: [token("llo", -0.25, top), token(" you", 0, top)] },
    { type: "text", text: "", tokens: 1, logprobs: [token("\ufffd", -3, top)] },
    { type: "text", text: "😀", tokens: 1, logprobs: [token("\ufffd", -0.1, top)] },
  ];
}

Deno.test("A chat tells how likely its tokens were when it is asked, and else null", async () => {
  for (const top of [0, 2]) {
    const body = chat({ logprobs: true, top_logprobs: top });
    const { choices: [{ logprobs, message }] } = await both(parts(told(top)), { path: CHAT, body });
    assert.equal(message.content, "Hällo you😀");
    assert.equal(logprobs.refusal, null);
    assert.deepEqual(logprobs.content.map(({ token }: { token: string }) => token), [
      "Hä",
      "llo",
      " you",
      "\ufffd",
      "\ufffd",
    ]);
    assert.deepEqual(logprobs.content[0], {
      token: "Hä",
      logprob: -0.5,
      bytes: [72, 195, 164],
      top_logprobs: [
        { token: "Hä", logprob: -0.5, bytes: [72, 195, 164] },
        { token: " x", logprob: -1.5, bytes: [32, 120] },
      ].slice(0, top),
    });
  }
  const { choices: [{ logprobs }] } = await both(parts(told(2)), { path: CHAT, body: chat() });
  assert.equal(logprobs, null);
  const none = await wholeOf(await ask(new ScriptedAnswers(parts([])), { body: chat({ logprobs: true }) }), CHAT);
  assert.deepEqual(none.choices[0].logprobs, { content: [], refusal: null });
});

Deno.test("A completion tells how likely its tokens were in the older lists, with places in characters", async () => {
  const body = { model: MODEL, prompt: "Once", logprobs: 2 };
  const { choices: [{ logprobs, text }] } = await both(parts(told(2)), { path: COMPLETION, body });
  assert.equal(text, "Hällo you😀");
  assert.deepEqual(logprobs, {
    tokens: ["Hä", "llo", " you", "\ufffd", "\ufffd"],
    token_logprobs: [-0.5, -0.25, 0, -3, -0.1],
    top_logprobs: [
      { "Hä": -0.5, " x": -1.5 },
      { llo: -0.25, " x": -1.25 },
      { " you": 0, " x": -1 },
      { "\ufffd": -3, " x": -4 },
      { "\ufffd": -0.1, " x": -1.1 },
    ],
    text_offset: [0, 2, 5, 9, 10],
  });
  const bare = await both(parts(told(0)), { path: COMPLETION, body: { ...body, logprobs: 0 } });
  assert.deepEqual(bare.choices[0].logprobs.top_logprobs[0], { "Hä": -0.5 });
});

/** Says its seed and its prompt. */
async function* seeded(
  { request: { input, parameters }, choose }: Parameters<Script>[0],
): AsyncGenerator<InferenceEvent> {
  choose("kitchen", null);
  const prompt = input.kind === "completion" ? `${input.prompt} ` : "";
  yield { ...START, prompt_tokens: prompt.length } as InferenceEvent;
  for (const text of [prompt, `seed ${parameters.seed ?? "none"}`]) {
    await Promise.resolve();
    yield { type: "text", text, tokens: 1 };
  }
  const usage = { prompt_tokens: 7 + prompt.length, completion_tokens: 2, cached_tokens: 3 };
  yield { ...END, usage } as InferenceEvent;
}

Deno.test("Several answers have an index each and seeds that follow, and their prompt counts once", async () => {
  const { choices, usage } = await both(seeded, { path: CHAT, body: chat({ n: 3, seed: 41 }) });
  assert.deepEqual(choices.map(({ index }: { index: number }) => index), [0, 1, 2]);
  const said = choices.map(({ message }: { message: { content: string } }) => message.content);
  assert.deepEqual(said, ["seed 41", "seed 42", "seed 43"]);
  assert.deepEqual(usage, {
    prompt_tokens: 7,
    completion_tokens: 6,
    total_tokens: 13,
    prompt_tokens_details: { cached_tokens: 3 },
  });
  const { choices: unseeded } = await both(seeded, { path: CHAT, body: chat({ n: 2 }) });
  assert.equal(unseeded[1].message.content, "seed none");
});

Deno.test("Several prompts have their answers one after the other, each as often as asked", async () => {
  const body = { model: MODEL, prompt: ["a", "b"], n: 2, best_of: 2, seed: 5, echo: true };
  const { choices, usage } = await both(seeded, { path: COMPLETION, body });
  const said = choices.map(({ text }: { text: string }) => text);
  assert.deepEqual(said, ["aa seed 5", "aa seed 6", "bb seed 5", "bb seed 6"]);
  assert.equal(usage.prompt_tokens, 18);
  assert.equal(usage.completion_tokens, 8);
  const tokens = await both(seeded, { path: COMPLETION, body: { model: MODEL, prompt: [[1, 2], [3]] } });
  assert.deepEqual(tokens.choices.map(({ text }: { text: string }) => text), ["1,2 seed none", "3 seed none"]);
});

Deno.test("Where several nodes answer, all chunks name the model of the first", async () => {
  let asked = 0;
  const script: Script = async function* () {
    await Promise.resolve();
    yield { ...START, model: `other:${asked++}` } as InferenceEvent;
    yield END;
  };
  const response = await ask(new ScriptedAnswers(script), { body: chat({ n: 2, stream: true }) });
  assert.equal(joined(await chunksOf(response, CHAT)).model, "other:0");
});

Deno.test("A peer's text cannot break out of its chunk", async () => {
  const nasty = '\r\n\r\ndata: [DONE]\n\n"}]}';
  const { choices } = await both(telling(nasty), { path: CHAT, body: chat() });
  assert.equal(choices[0].message.content, nasty);
});
