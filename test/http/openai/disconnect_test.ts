import assert from "node:assert/strict";
import { openaiRoutes } from "../../../src/http/openai/openai_routes.ts";
import { chat, eventsOf, ScriptedAnswers, START, telling } from "../api/scripted_answers.ts";

/** Serves the routes on a port of this machine. */
function serve(answers: ScriptedAnswers): AsyncDisposable & { url: string; done: Promise<void> } {
  const app = openaiRoutes({ answers });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => app.fetch(request));
  return {
    url: `http://127.0.0.1:${server.addr.port}/v1/chat/completions`,
    done: server.finished,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function post(body: unknown, signal?: AbortSignal): RequestInit {
  const headers = { "content-type": "application/json" };
  return { method: "POST", headers, body: JSON.stringify(body), signal: signal ?? null };
}

/** Answers as an engine does that only a signal stops. */
function endless(): ScriptedAnswers {
  return new ScriptedAnswers(async function* ({ signal }) {
    yield START;
    for (;;) {
      signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 1));
      yield { type: "text", text: "more ", tokens: 1 };
    }
  });
}

Deno.test("openaiRoutes() stops the engine when the client of a stream goes away", async () => {
  const answers = endless();
  await using server = serve(answers);
  const client = new AbortController();
  const response = await fetch(server.url, post(chat({ stream: true }), client.signal));
  const reader = response.body?.getReader() ?? assert.fail();
  await reader.read();
  client.abort();
  assert.ok((await answers.left).aborted);
  await assert.rejects(reader.read());
});

Deno.test("openaiRoutes() stops the engine when the client goes away while a model loads", async () => {
  const asked = Promise.withResolvers<void>();
  // deno-lint-ignore require-yield
  const answers = new ScriptedAnswers(async function* ({ signal }) {
    asked.resolve();
    await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  });
  await using server = serve(answers);
  const client = new AbortController();
  const response = fetch(server.url, post(chat({ stream: true }), client.signal));
  await asked.promise;
  client.abort();
  await assert.rejects(response);
  assert.ok((await answers.left).aborted);
});

Deno.test("openaiRoutes() stops the engine when the client of a whole answer goes away", async () => {
  const answers = endless();
  await using server = serve(answers);
  const client = new AbortController();
  const response = fetch(server.url, post(chat(), client.signal));
  while (answers.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  client.abort();
  await assert.rejects(response);
  assert.ok((await answers.left).aborted);
});

Deno.test("openaiRoutes() does not abort an answer that a client took whole", async () => {
  for (const stream of [true, false]) {
    const answers = new ScriptedAnswers(telling("Hi"));
    await using server = serve(answers);
    const response = await fetch(server.url, post(chat({ stream })));
    if (stream) assert.equal((await eventsOf(response)).at(-1), "[DONE]");
    else assert.equal((await response.json()).choices[0].message.content, "Hi");
    assert.ok(!(await answers.left).aborted);
  }
});

Deno.test("openaiRoutes() tells a client that its body is too long while it still sends", async () => {
  const answers = endless();
  await using server = serve(answers);
  const part = new Uint8Array(1 << 20).fill(32);
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => sent++ < 24 ? controller.enqueue(part) : controller.close(),
  });
  const headers = { "content-type": "application/json" };
  const response = await fetch(server.url, { method: "POST", headers, body });
  assert.equal(response.status, 413);
  assert.equal((await response.json()).error.code, "request_too_large");
  assert.deepEqual(answers.asked, []);
});
