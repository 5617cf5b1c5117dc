/** Two machines that nothing joins but a WireGuard tunnel. */
import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { canUseNamespaces, NetworkLab } from "../support/netns.ts";
import { FROM_SOURCE, NodeProcess } from "../support/node_process.ts";
import { quantile, SteadyPeer } from "../support/steady_peer.ts";
import { canUseWireGuard, Tunnel, type TunnelEnd } from "../support/wireguard.ts";
import { answersThrough } from "./answers_through.ts";
import { FIXTURES, MODEL } from "./test_node.ts";

const reason = await canUseNamespaces() ?? await canUseWireGuard();
// deno-lint-ignore no-console
if (reason !== null) console.log(`wireguard_test: skipped, ${reason}`);

interface Discovered {
  peers: { node_id: string; state: string; sources: string[]; addresses: string[]; wireguard_keys: string[] }[];
}

interface Status {
  peers: { state: string; address: string | null }[];
}

function start({ host, command }: TunnelEnd, options: { name: string; args?: string[] }): Promise<NodeProcess> {
  const { name, args = [] } = options;
  return NodeProcess.start({
    name,
    args: ["--no-mdns", ...args],
    command: ["ip", "netns", "exec", host.namespace, ...command, ...FROM_SOURCE],
    meshListen: "0.0.0.0:8911",
  });
}

Deno.test({
  name: "Two machines find each other through a WireGuard tunnel, and one answers for the other",
  ignore: reason !== null,
  async fn() {
    await using lab = await NetworkLab.create(["alice", "bob"]);
    await using tunnel = await Tunnel.create(lab.host("alice"), lab.host("bob"));
    const [alice, bob] = tunnel.ends;
    await using a = await start(alice, { name: "alice" });
    await using b = await start(bob, { name: "bob", args: ["--models", FIXTURES] });

    for (const [node, other, end] of [[a, b, bob], [b, a, alice]] as const) {
      await until(async () => (await node.json<Discovered>("peers", "discovered")).peers.length > 0);
      const { peers: [seen] } = await node.json<Discovered>("peers", "discovered");
      assert.deepEqual(seen?.node_id, other.ready.node_id);
      assert.deepEqual([seen?.state, seen?.sources, seen?.addresses], [
        "pending",
        ["wireguard"],
        [`${end.address}:8911`],
      ]);
      assert.deepEqual(seen?.wireguard_keys, [`wg:${end.publicKey}`]);
    }
    // The tunnel alone lets nobody in.
    assert.deepEqual((await a.json<{ models: unknown[] }>("models")).models, []);

    await answersThrough(a, b);

    const { peers: [status] } = await a.json<Status>("peers", "list");
    assert.equal(status?.address, `${bob.address}:8911`);
    const bare = await tunnel.roundTripMs();
    await using steady = new SteadyPeer({
      key: `${a.ready.data}/node.key`,
      id: b.id,
      address: { hostname: bob.address, port: 8911 },
      everyMs: 10,
      model: MODEL,
      command: ["ip", "netns", "exec", alice.host.namespace],
    });
    const beats = await steady.next(40);
    assert.deepEqual(beats.filter(({ status }) => status !== 200), []);
    // deno-lint-ignore no-console
    console.log(
      `R20: through the tunnel and back ${bare.toFixed(2)} ms; a signed request on a kept connection ` +
        `${quantile(beats, "offer", 0.5).toFixed(2)} ms, to the first byte of an answer ` +
        `${quantile(beats, "infer", 0.5).toFixed(2)} ms (medians)`,
    );
  },
});
