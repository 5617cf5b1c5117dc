import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { StreamingNode, STREAMS } from "../support/streaming_node.ts";
import { question } from "./mesh_peer.ts";

Deno.test("T02: A revoked peer gets no byte after the answer, its eight generations stop, and it stays out after a kill", async () => {
  await using first = await StreamingNode.start();
  await using peer = await first.peer();
  const [model = ""] = await first.models();
  const cutStreams = async (): Promise<Response> => {
    const streams = await first.streams(peer, { slowMs: 20 });
    assert.equal(await first.busy(), STREAMS);
    const response = await first.call("/peers/revoke", { public_key: peer.publicKey });
    const answered = performance.now();
    assert.equal(response.status, 200);
    await until(() => streams.every(({ open }) => !open));
    assert.ok(streams.every(({ lastAt }) => lastAt < answered), "No byte arrives any more");
    return response;
  };
  await (await cutStreams()).body?.cancel();
  // A model is idle when its worker itself has said that it stopped.
  await until(async () => await first.busy() === 0);
  // On the connections that it has, of which none is left, and on a new one.
  assert.equal((await peer.ask(question(model, "one"))).code, "ark_revoked");
  await using fresh = await first.peer(peer);
  const refused = await fresh.ask(question(model, "one"));
  assert.deepEqual([refused.status, refused.code], [403, "ark_revoked"]);

  await first.approve(peer);
  const answer = await cutStreams();
  await first.kill();
  await answer.body?.cancel().catch(() => {});
  await using second = await StreamingNode.start(first);
  await using same = await second.peer(peer);
  assert.equal((await same.ask(question(model, "one"))).code, "ark_revoked");
  assert.equal(await second.busy(), 0);
});
