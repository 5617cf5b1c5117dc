import assert from "node:assert/strict";
import { openaiRoutes } from "../../../src/http/openai/openai_routes.ts";
import { endless, serveRoutes, testDisconnects } from "../api/disconnects.ts";
import { chat, eventsOf } from "../api/scripted_answers.ts";

testDisconnects("openaiRoutes()", {
  routes: (answers) => openaiRoutes({ answers }),
  path: "/v1/chat/completions",
  body: chat(),
  isComplete: async (text) => assert.equal((await eventsOf(new Response(text))).at(-1), "[DONE]"),
  isWhole: (text) => assert.equal(JSON.parse(text).choices[0].message.content, "Hi"),
});

Deno.test("openaiRoutes() tells a client that its body is too long while it still sends", async () => {
  const answers = endless();
  await using server = serveRoutes(openaiRoutes({ answers }), "/v1/chat/completions");
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
