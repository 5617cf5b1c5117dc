/** Two machines, as far as the network can tell: nothing joins the nodes but multicast and each other's keys. */
import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { Avahi, missingAvahi } from "../support/avahi.ts";
import { canUseNamespaces, type NetworkHost, NetworkLab } from "../support/netns.ts";
import { FROM_SOURCE, NodeProcess } from "../support/node_process.ts";
import { answersThrough } from "./answers_through.ts";
import { FIXTURES } from "./test_node.ts";

const reason = await canUseNamespaces();
const noAvahi = await missingAvahi();
// deno-lint-ignore no-console
if (reason !== null) console.log(`namespace_test: skipped, ${reason}`);
// deno-lint-ignore no-console
else if (noAvahi !== null) console.log(`namespace_test: without avahi, ${noAvahi}`);

interface Discovered {
  peers: { node_id: string; state: string; sources: string[]; addresses: string[] }[];
}

function start(host: NetworkHost, options: { name: string; args?: string[] }): Promise<NodeProcess> {
  const command = ["ip", "netns", "exec", host.namespace, ...FROM_SOURCE];
  return NodeProcess.start({ ...options, command, meshListen: "0.0.0.0:8911" });
}

Deno.test({
  name: "Two machines find each other by mDNS alone, and one answers for the other",
  ignore: reason !== null,
  async fn() {
    await using lab = await NetworkLab.create(["alice", "bob"]);
    const [alice, bob] = [lab.host("alice"), lab.host("bob")];
    await using avahi = noAvahi === null ? await Avahi.start(alice) : null;
    await using a = await start(alice, { name: "alice" });
    await using b = await start(bob, { name: "bob", args: ["--models", FIXTURES] });

    for (const [node, other, address] of [[a, b, bob.address], [b, a, alice.address]] as const) {
      await until(async () => (await node.json<Discovered>("peers", "discovered")).peers.length > 0);
      const { peers: [seen] } = await node.json<Discovered>("peers", "discovered");
      assert.deepEqual(seen?.node_id, other.ready.node_id);
      assert.deepEqual([seen?.state, seen?.sources, seen?.addresses], ["pending", ["mdns"], [`${address}:8911`]]);
    }
    if (avahi !== null) {
      const listed = await avahi.browse((lines) => lines.length === 2);
      const texts = listed.map(([, , , , text = ""]) => text.match(/"id=(\w+)"/)?.[1]).toSorted();
      assert.deepEqual(texts, [a.id.slice(0, 8), b.id.slice(0, 8)].toSorted());
    }

    await answersThrough(a, b);
    for (const node of [a, b]) assert.ok((await node.json<{ ok: boolean }>("audit", "verify")).ok);
  },
});
