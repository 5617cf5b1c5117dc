import assert from "node:assert/strict";
import { introductions } from "@ark/node/http";
import { generateIdentity } from "@ark/node/identity";
import { ArkError } from "@ark/node/protocol";

const stranger = generateIdentity();
const caller = {
  nodeId: stranger.id,
  publicKey: stranger.publicKey,
  signature: "00".repeat(32),
  remote: "127.0.0.1",
  deadlineMs: 1_000,
};

Deno.test("introductions() hands each path's POST to its route, and nothing else", async () => {
  const { paths, handler } = introductions({
    "/ark/v1/a": (request, { nodeId }) => Promise.resolve(Response.json([new URL(request.url).pathname, nodeId])),
  });
  assert.deepEqual([...paths], ["/ark/v1/a"]);
  const heard = await handler(new Request("https://node/ark/v1/a?x=1", { method: "POST" }), caller);
  assert.deepEqual(await heard.json(), ["/ark/v1/a", stranger.id]);
  for (const request of [new Request("https://node/ark/v1/a"), new Request("https://node/b", { method: "POST" })]) {
    const { status, ...said } = await handler(request, caller).then(async (answer) => ({
      status: answer.status,
      ...await answer.json(),
    }));
    assert.deepEqual([status, said.error.code], [400, "ark_bad_request"]);
  }
});

Deno.test("introductions() tells a stranger of a failure, and of a fault nothing", async () => {
  for (
    const [thrown, status, message] of [
      [new ArkError("busy", "Try again later"), 429, "Try again later"],
      [new Error("/home/owner/secret"), 500, "This node met an unexpected fault; its owner can see why"],
    ] as const
  ) {
    const { handler } = introductions({ "/ark/v1/a": () => Promise.reject(thrown) });
    const answer = await handler(new Request("https://node/ark/v1/a", { method: "POST" }), caller);
    assert.equal(answer.status, status);
    assert.equal((await answer.json()).error.message, message);
  }
});
