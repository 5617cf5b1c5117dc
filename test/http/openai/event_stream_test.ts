import assert from "node:assert/strict";
import { mock } from "node:test";
import { ArkError, type InferenceEvent } from "@ark/node/protocol";
import { ask, chat, END, eventsOf, failing, MODEL, ScriptedAnswers, START, telling } from "../api/scripted_answers.ts";

const TEXT: InferenceEvent = { type: "text", text: "Hi", tokens: 1 };
const ALIVE = ": keep-alive\n\n";

/** Stops the clock until it is disposed; `mock.timers.tick()` moves it on. */
function stoppedClock(): Disposable {
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  return { [Symbol.dispose]: () => mock.timers.reset() };
}

/** Reads a stream until some text has arrived. */
async function readUntil(reader: ReadableStreamDefaultReader<Uint8Array>, wanted: string): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  while (!text.includes(wanted)) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`The stream ended without ${wanted}: ${text}`);
    text += decoder.decode(value, { stream: true });
  }
  return text;
}

Deno.test("orderedStream() sends a failure after the first event as an event, and no [DONE]", async () => {
  for (
    const [error, code] of [[new ArkError("engine_failed", "It died"), "engine_failed"], [undefined, "unavailable"]]
  ) {
    const answers = new ScriptedAnswers(failing(error, [START, TEXT]));
    const response = await ask(answers, { body: chat({ stream: true }) });
    assert.equal(response.status, 200);
    const events = await eventsOf(response);
    const last = JSON.parse(events.at(-1) ?? "");
    assert.deepEqual(Object.keys(last.error), ["message", "type", "param", "code"]);
    assert.equal(last.error.code, code);
    assert.equal(events.filter((event) => event === "[DONE]").length, 0);
    assert.equal(JSON.parse(events[1] ?? "").choices[0].delta.content, "Hi");
  }
});

Deno.test("orderedStream() never ends an answer in the usual way that broke the order of events", async () => {
  for (const events of [[START, END, TEXT], [START, END, END]]) {
    const streamed = await ask(new ScriptedAnswers(failing(undefined, events)), { body: chat({ stream: true }) });
    assert.match((await eventsOf(streamed)).at(-1) ?? "", /"error"/);
  }
  for (const events of [[], [TEXT, END], [END]]) {
    const whole = await ask(new ScriptedAnswers(failing(undefined, events)), { body: chat() });
    assert.equal(whole.status, 503);
    await whole.body?.cancel();
  }
  const none = await ask(new ScriptedAnswers(failing(undefined)), { body: chat({ stream: true }) });
  assert.equal(none.status, 503);
  await none.body?.cancel();
});

Deno.test("orderedStream() says [DONE] only when the iteration has ended, which records the request", async () => {
  const broken = new ArkError("audit_unavailable", "The end cannot be recorded");
  const response = await ask(new ScriptedAnswers(failing(broken, [START, TEXT, END])), {
    body: chat({ stream: true }),
  });
  const events = await eventsOf(response);
  assert.equal(JSON.parse(events.at(-1) ?? "").error.code, "audit_unavailable");
  assert.equal(JSON.parse(events.at(-2) ?? "").choices[0].finish_reason, "stop");
});

/** Asks for a stream of a model that loads until `load` is settled. */
function slowly(): { asked: Promise<void>; load: PromiseWithResolvers<void>; response: Promise<Response> } {
  const asked = Promise.withResolvers<void>();
  const load = Promise.withResolvers<void>();
  const answers = new ScriptedAnswers(async function* ({ choose }) {
    asked.resolve();
    await load.promise;
    choose("kitchen", null);
    yield START;
    throw new ArkError("engine_failed", "It died");
  });
  return { asked: asked.promise, load, response: ask(answers, { body: chat({ stream: true }) }) };
}

Deno.test("orderedStream() begins without its first event after 10 s, and then a failure is an event", async () => {
  using _clock = stoppedClock();
  const { asked, load, response: pending } = slowly();
  await asked;
  mock.timers.tick(10_000);
  const response = await pending;
  assert.deepEqual([response.status, response.headers.get("content-type")], [200, "text/event-stream"]);
  assert.equal(response.headers.get("x-ark-node"), null);
  const reader = response.body?.getReader() ?? assert.fail();
  assert.equal(await readUntil(reader, ALIVE), ALIVE);
  for (let round = 0; round < 3; round++) {
    const next = readUntil(reader, ALIVE);
    mock.timers.tick(15_000);
    assert.equal(await next, ALIVE);
  }
  load.resolve();
  const rest = await readUntil(reader, '"error"');
  assert.match(rest, /"role":"assistant".*"code":"engine_failed"/s);
  assert.ok((await reader.read()).done);
});

Deno.test("orderedStream() waits 10 s for a first event, so that a failure until then has a status", async () => {
  using _clock = stoppedClock();
  const { asked, load, response } = slowly();
  await asked;
  mock.timers.tick(9_999);
  load.reject(new ArkError("engine_failed", "It cannot be loaded"));
  const { status, body } = await response;
  assert.equal(status, 500);
  await body?.cancel();
});

Deno.test("orderedStream() gives a late failure before any event as an event, too", async () => {
  using _clock = stoppedClock();
  const { asked, load, response } = slowly();
  await asked;
  mock.timers.tick(10_000);
  const late = await response;
  load.reject(new ArkError("engine_failed", "It cannot be loaded"));
  const events = await eventsOf(late);
  assert.equal(events.length, 1);
  assert.equal(JSON.parse(events[0] ?? "").error.code, "engine_failed");
});

Deno.test("orderedStream() fills silence in mid-stream with comments, and only silence", async () => {
  using _clock = stoppedClock();
  const more = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  const answers = new ScriptedAnswers(async function* () {
    yield START;
    yield TEXT;
    await more[0].promise;
    yield { ...TEXT, text: "again" };
    await more[1].promise;
    yield END;
  });
  const response = await ask(answers, { body: chat({ stream: true }) });
  const reader = response.body?.getReader() ?? assert.fail();
  await readUntil(reader, '"Hi"');
  const again = readUntil(reader, '"again"');
  mock.timers.tick(10_000);
  more[0].resolve();
  assert.doesNotMatch(await again, /keep-alive/);
  const alive = readUntil(reader, ALIVE);
  // Silence begins anew with a text: 10 s of it were before.
  mock.timers.tick(10_000);
  let filled = false;
  alive.then(() => filled = true);
  await new Promise(setImmediate);
  assert.ok(!filled);
  mock.timers.tick(5_000);
  assert.equal(await alive, ALIVE);
  more[1].resolve();
  await readUntil(reader, "[DONE]");
  assert.ok((await reader.read()).done);
});

Deno.test("orderedStream() puts at most one comment before a client that does not read", async () => {
  using _clock = stoppedClock();
  const response = await ask(new ScriptedAnswers(telling("Hi")), { body: chat({ stream: true }) });
  mock.timers.tick(150_000);
  assert.equal((await response.text()).split(ALIVE).length, 2);
});

Deno.test("orderedStream() asks for no event that nobody reads", async () => {
  let made = 0;
  const answers = new ScriptedAnswers(async function* () {
    await Promise.resolve();
    yield START;
    for (;;) {
      made++;
      yield TEXT;
    }
  });
  const response = await ask(answers, { body: chat({ stream: true }) });
  const reader = response.body?.getReader() ?? assert.fail();
  for (let read = 0; read < 5; read++) await reader.read();
  assert.equal(made, 4);
  await reader.cancel();
  assert.ok((await answers.left).aborted);
});

Deno.test("orderedStream() stops the engine while it waits, when the stream is cancelled", async () => {
  const answers = new ScriptedAnswers(async function* ({ signal }) {
    yield START;
    await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  });
  const response = await ask(answers, { body: chat({ stream: true }) });
  const reader = response.body?.getReader() ?? assert.fail();
  await reader.read();
  const waiting = reader.read();
  await reader.cancel();
  assert.ok((await waiting).done);
  assert.ok((await answers.left).aborted);
});

Deno.test("orderedStream() lets go of an answer whose client goes away before it reads", async () => {
  const client = new AbortController();
  const answers = new ScriptedAnswers(telling("Hi"));
  const response = await ask(answers, { body: chat({ stream: true }), signal: client.signal });
  client.abort();
  assert.ok((await answers.left).aborted);
  await response.body?.cancel().catch(() => {});
});

Deno.test("AnswerRun aborts a whole answer whose client goes away", async () => {
  const client = new AbortController();
  const answers = new ScriptedAnswers(async function* ({ signal }) {
    yield START;
    client.abort();
    await Promise.resolve();
    signal.throwIfAborted();
    yield { ...TEXT, text: MODEL };
  });
  const response = await ask(answers, { body: chat(), signal: client.signal });
  assert.equal(response.status, 499);
  assert.equal(response.headers.get("x-should-retry"), "false");
  await response.body?.cancel();
  assert.ok((await answers.left).aborted);
});
