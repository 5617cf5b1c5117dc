/** Servers that the owner named, on whole nodes. The server is another node's API, which is as real as they come. */
import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { FIXTURES, MODEL, readStream, TestNode } from "./test_node.ts";

Deno.test("A node passes its owner's questions on to a server, says so, and stops it when the client leaves", async () => {
  await using server = await TestNode.start({ name: "server", models: [FIXTURES] });
  await using node = await TestNode.start({ name: "A", flags: { upstream: [`box=${server.api}`] } });
  await node.reaches(MODEL);
  const whole = await node.chat({ model: MODEL, max_tokens: 3 });
  const { choices, usage } = await whole.json();
  assert.deepEqual([choices[0].message.content, usage.total_tokens], ["w0 w1 w2", 6]);
  assert.deepEqual([whole.headers.get("x-ark-node"), whole.headers.get("x-ark-route")], ["box", "upstream"]);
  const streamed = await readStream(await node.chat({ model: MODEL, max_tokens: 3, stream: true }));
  assert.deepEqual([streamed.text, streamed.done], ["w0 w1 w2", true]);
  const abort = new AbortController();
  const messages = [{ role: "user", content: "#slow=4" }];
  const long = await node.chat({ model: MODEL, messages, max_tokens: 900, stream: true }, { signal: abort.signal });
  await long.body?.getReader().read();
  abort.abort();
  await until(() => server.workerLog().includes('"cancelled":true'));
  const broken = [{ role: "user", content: "#crash-after=2" }];
  const cut = await readStream(await node.chat({ model: MODEL, messages: broken, max_tokens: 9, stream: true }));
  assert.deepEqual([cut.text, cut.done], ["w0 w1", false]);
  assert.ok(cut.error !== null);
  const { body } = await node.admin<{ upstreams: { name: string; ready: boolean }[] }>("/status");
  assert.deepEqual(body.upstreams.map(({ name, ready }) => [name, ready]), [["box", true]]);
});

for (const shared of [false, true]) {
  Deno.test(`A peer gets ${shared ? "an answer" : "nothing"} of a server that the owner ${shared ? "shares" : "keeps"}`, async () => {
    await using server = await TestNode.start({ name: "server", models: [FIXTURES] });
    const flags = { upstream: [server.api], "share-upstreams": shared };
    await using node = await TestNode.start({ name: "B", flags });
    await using peer = await TestNode.start({ name: "A", peers: [node.mesh] });
    await node.approve({ publicKey: peer.publicKey, name: "A" });
    await peer.approve({ publicKey: node.publicKey, name: "B" });
    await node.reaches(MODEL);
    if (shared) {
      await peer.reaches(MODEL);
      const { choices } = await (await peer.chat({ model: MODEL, max_tokens: 3 })).json();
      assert.equal(choices[0].message.content, "w0 w1 w2");
    } else {
      await until(async () => {
        const { body } = await peer.admin<{ peers: { state: string }[] }>("/peers/status");
        return body.peers[0]?.state === "ready";
      });
      const answer = await peer.chat({ model: MODEL, max_tokens: 3 });
      assert.equal(answer.status, 404);
      await answer.body?.cancel();
      assert.equal(server.workerLog(), "");
    }
  });
}
