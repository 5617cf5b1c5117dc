/** What every family of APIs owes to a client that goes away. */
import assert from "node:assert/strict";
import type { Answers } from "../../../src/http/api/answers.ts";
import { ScriptedAnswers, START, telling } from "./scripted_answers.ts";

/** One family, and a question to it. */
export interface Family {
  /** Its routes over answers. */
  routes(answers: Answers): { fetch(request: Request): Response | Promise<Response> };
  path: string;
  /** A question without `stream`. */
  body: Record<string, unknown>;
  /** Fails where a stream is not complete. */
  isComplete(text: string): void | Promise<void>;
  /** Fails where an answer without `stream` is not the text `Hi`. */
  isWhole?(text: string): void;
}

/** Answers as an engine does that only a signal stops. */
export function endless(): ScriptedAnswers {
  return new ScriptedAnswers(async function* ({ signal }) {
    yield START;
    for (;;) {
      signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 1));
      yield { type: "text", text: "more ", tokens: 1 };
    }
  });
}

/** Serves routes on a port of this machine; the url is that of a path. */
export function serveRoutes(app: ReturnType<Family["routes"]>, path: string): AsyncDisposable & { url: string } {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => app.fetch(request));
  return { url: `http://127.0.0.1:${server.addr.port}${path}`, [Symbol.asyncDispose]: () => server.shutdown() };
}

function serve({ routes, path }: Family, answers: Answers): AsyncDisposable & { url: string } {
  return serveRoutes(routes(answers), path);
}

function post(body: unknown, signal?: AbortSignal): RequestInit {
  const headers = { "content-type": "application/json" };
  return { method: "POST", headers, body: JSON.stringify(body), signal: signal ?? null };
}

/** Tests that the work stops when the client goes away, and not before. */
export function testDisconnects(name: string, family: Family): void {
  Deno.test(`${name} stops the engine when the client of a stream goes away`, async () => {
    const answers = endless();
    await using server = serve(family, answers);
    const client = new AbortController();
    const response = await fetch(server.url, post({ ...family.body, stream: true }, client.signal));
    const reader = response.body?.getReader() ?? assert.fail();
    await reader.read();
    client.abort();
    assert.ok((await answers.left).aborted);
    await assert.rejects(reader.read());
  });

  Deno.test(`${name} stops the engine when the client of a whole answer goes away`, async () => {
    const answers = endless();
    await using server = serve(family, answers);
    const client = new AbortController();
    const response = fetch(server.url, post(family.body, client.signal));
    while (answers.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    client.abort();
    await assert.rejects(response);
    assert.ok((await answers.left).aborted);
  });

  Deno.test(`${name} stops the engine when the client goes away while a model loads`, async () => {
    const asked = Promise.withResolvers<void>();
    // deno-lint-ignore require-yield
    const answers = new ScriptedAnswers(async function* ({ signal }) {
      asked.resolve();
      await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    });
    await using server = serve(family, answers);
    const client = new AbortController();
    const response = fetch(server.url, post({ ...family.body, stream: true }, client.signal));
    await asked.promise;
    client.abort();
    await assert.rejects(response);
    assert.ok((await answers.left).aborted);
  });

  Deno.test(`${name} does not abort an answer that a client took whole`, async () => {
    for (const stream of [true, false]) {
      const answers = new ScriptedAnswers(telling("Hi"));
      await using server = serve(family, answers);
      const response = await fetch(server.url, post({ ...family.body, stream }));
      const text = await response.text();
      if (stream) await family.isComplete(text);
      else {
        assert.equal(response.status, 200);
        family.isWhole?.(text);
      }
      assert.ok(!(await answers.left).aborted);
    }
  });

  Deno.test(`${name} makes nothing ahead for a client that does not read`, async () => {
    const answers = endless();
    let made = 0;
    const counted: Answers = {
      models: () => [],
      async *infer(request, options) {
        for await (const event of answers.infer(request, options)) {
          made++;
          yield event;
        }
      },
    };
    const request = new Request(`http://localhost${family.path}`, post({ ...family.body, stream: true }));
    const response = await family.routes(counted).fetch(request);
    const reader = response.body?.getReader() ?? assert.fail();
    await reader.read();
    const before = made;
    // Time enough for an engine that nobody holds back.
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(made <= before + 1, `${made} after ${before}`);
    await reader.cancel();
    assert.ok((await answers.left).aborted);
  });
}
