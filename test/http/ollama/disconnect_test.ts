import assert from "node:assert/strict";
import { ArkError } from "@ark/node/protocol";
import { type OllamaOptions, ollamaRoutes } from "../../../src/http/ollama/ollama_routes.ts";
import { endless, serveRoutes } from "../api/disconnects.ts";
import { ScriptedAnswers, telling } from "../api/scripted_answers.ts";
import { chat, ScriptedKeeper } from "./asking.ts";

function serve(options: OllamaOptions): AsyncDisposable & { url: string } {
  return serveRoutes(ollamaRoutes(options), "/api");
}

function post(body: unknown, signal?: AbortSignal): RequestInit {
  return { method: "POST", body: JSON.stringify(body), signal: signal ?? null };
}

Deno.test("ollamaRoutes() stops the engine when the client of a stream goes away", async () => {
  const answers = endless();
  await using server = serve({ answers });
  const client = new AbortController();
  const response = await fetch(`${server.url}/chat`, post(chat(), client.signal));
  const reader = response.body?.getReader() ?? assert.fail();
  await reader.read();
  client.abort();
  assert.ok((await answers.left).aborted);
  await assert.rejects(reader.read());
});

Deno.test("ollamaRoutes() stops the engine when the client of a whole answer goes away", async () => {
  for (const path of ["/chat", "/embed"]) {
    const answers = endless();
    await using server = serve({ answers });
    const client = new AbortController();
    const response = fetch(server.url + path, post({ ...chat({ stream: false }), input: "one" }, client.signal));
    while (answers.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    client.abort();
    await assert.rejects(response);
    assert.ok((await answers.left).aborted);
  }
});

Deno.test("ollamaRoutes() does not abort an answer that a client took to the line that is done", async () => {
  for (const stream of [true, false]) {
    const answers = new ScriptedAnswers(telling("Hi"));
    await using server = serve({ answers });
    const text = await (await fetch(`${server.url}/chat`, post(chat({ stream })))).text();
    assert.equal(JSON.parse(text.trim().split("\n").at(-1) ?? "").done_reason, "stop");
    assert.ok(!(await answers.left).aborted);
  }
});

Deno.test("ollamaRoutes() ends a pull when its client goes away", async () => {
  const left = Promise.withResolvers<boolean>();
  class Slow extends ScriptedKeeper {
    override async *pull(_ref: string, { signal }: { signal: AbortSignal }) {
      try {
        for (let completed = 1;; completed++) {
          if (signal.aborted) throw new ArkError("cancelled", "It was cancelled");
          yield { status: "pulling", total: 1e9, completed };
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      } finally {
        left.resolve(signal.aborted);
      }
    }
  }
  for (const stream of [true, false]) {
    await using server = serve({ answers: new ScriptedAnswers(telling()), keeper: new Slow() });
    const client = new AbortController();
    const response = fetch(`${server.url}/pull`, post({ model: "x", stream }, client.signal));
    if (stream) await (await response).body?.getReader().read();
    else await new Promise((resolve) => setTimeout(resolve, 20));
    client.abort();
    if (!stream) await assert.rejects(response);
    assert.ok(await left.promise);
  }
});
