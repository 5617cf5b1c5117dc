import assert from "node:assert/strict";
import { generateIdentity } from "@ark/node/identity";
import { MeshClient } from "@ark/node/transport";
import { callPeer } from "../../src/peers/peer_call.ts";
import { ScriptedNode } from "../transport/scripted_node.ts";

/** Asks a node for at most a second; the signal ends a test that would wait for ever. */
async function asked(node: ScriptedNode): Promise<unknown> {
  await using client = new MeshClient({ identity: generateIdentity() });
  const signal = AbortSignal.timeout(30_000);
  return await callPeer(client, node.peer, { path: "/ark/v1/pair", body: {}, deadlineMs: 1_000, signal });
}

Deno.test("callPeer() does not wait for the rest of an answer longer than for its beginning", async () => {
  await using node = await ScriptedNode.start((request, socket) => {
    socket.write(`HTTP/1.1 200 OK\r\n${node.sign(request)}Content-Length: 20\r\n\r\n{"state":`);
  });
  await assert.rejects(asked(node), { code: "unavailable", message: /did not answer within 1000 ms/ });
});

Deno.test("callPeer() reads no more of an answer than such a one may have", async () => {
  const long = JSON.stringify("x".repeat(9_000));
  await using node = await ScriptedNode.start((request, socket) => {
    socket.write(`HTTP/1.1 200 OK\r\n${node.sign(request)}Content-Length: ${long.length}\r\n\r\n${long}`);
  });
  await assert.rejects(asked(node), { code: "unavailable", message: /sent more than the protocol allows/ });
});
