/** Planted in network namespaces, which are machines of their own as far as the network can tell. Linux, root. */
import assert from "node:assert/strict";
import type { Finding } from "@ark/node/http";
import { until } from "../inference/local_fixture.ts";
import { FIXTURES } from "../mesh/test_node.ts";
import { canUseNamespaces, type NetworkHost, NetworkLab } from "../support/netns.ts";
import { FROM_SOURCE, NodeProcess } from "../support/node_process.ts";
import { withDirectory } from "../support/temporary.ts";
import { canUseWireGuard, Tunnel } from "../support/wireguard.ts";
import { fault, fine, runDoctor, untilFault } from "./looking.ts";

const reason = await canUseNamespaces() ?? await missingNft();
const noTunnels = reason ?? await canUseWireGuard();
// deno-lint-ignore no-console
if (reason !== null) console.log(`doctor/network_test: skipped, ${reason}`);
// deno-lint-ignore no-console
else if (noTunnels !== null) console.log(`doctor/network_test: without tunnels, ${noTunnels}`);

async function missingNft(): Promise<string | null> {
  try {
    const args = ["netns", "exec"];
    await using lab = await NetworkLab.create(["nft"], { switched: false });
    const { namespace } = lab.host("nft");
    const { success } = await new Deno.Command("ip", {
      args: [...args, namespace, "nft", "add", "table", "inet", "probe"],
      stderr: "null",
    }).output();
    return success ? null : "there is no nft (package nftables), or it may not be used here";
  } catch (error) {
    return String(error);
  }
}

/** Has the firewall of a host drop what comes in, or goes out, and fits a rule. */
async function drop(host: NetworkHost, { hook }: { hook: "input" | "output" }, ...rule: string[]): Promise<void> {
  await host.run(["nft", "add", "table", "inet", "fw"]);
  await host.run(["nft", "add", "chain", "inet", "fw", "in", `{ type filter hook ${hook} priority 0; }`]);
  await host.run(["nft", "add", "rule", "inet", "fw", "in", ...rule, "drop"]);
}

function inside({ namespace }: NetworkHost): string[] {
  return ["ip", "netns", "exec", namespace];
}

/** What the command says on a host where no node runs. */
async function stopped(host: NetworkHost, data: string, ...flags: string[]): Promise<Finding[]> {
  return (await runDoctor(inside(host), ["--data", data, ...flags])).findings;
}

Deno.test({
  name:
    "Fault 11: a firewall blocks UDP port 5353 inwards or outwards, or no network is there, so no neighbour is found",
  ignore: reason !== null,
  fn: () =>
    withDirectory(async (data) => {
      await using lab = await NetworkLab.create(["filtered", "shut"]);
      const [filtered, shut] = [lab.host("filtered"), lab.host("shut")];
      fine(await stopped(filtered, data, "--wireguard", "off"), "multicast");
      await drop(filtered, { hook: "input" }, "udp", "dport", "5353");
      const blocked = fault(await stopped(filtered, data, "--wireguard", "off"), "multicast");
      assert.equal(blocked.level, "warning");
      assert.match(blocked.sentence, /^Neighbours cannot be found by mDNS: what is sent on eth0 does not come back$/);
      assert.match(blocked.fix, /5353.*or name each neighbour: --peer HOST:8911$/);

      await drop(shut, { hook: "output" }, "udp", "dport", "5353");
      const kept = fault(await stopped(shut, data, "--wireguard", "off"), "multicast");
      assert.match(
        kept.sentence,
        /the system refuses to send to UDP port 5353 on eth0$|own firewall keeps packets|does not come back$/,
      );
      assert.match(kept.fix, /5353.*--peer HOST:8911$/);

      await lab.unplug("shut");
      const down = fault(await stopped(shut, data, "--wireguard", "off"), "multicast");
      assert.match(down.sentence, /this machine is in no network$/);
      assert.match(down.fix, /--peer HOST:8911$/);
      fine(await stopped(shut, data, "--no-mdns", "--wireguard", "off"), "multicast");
    }),
});

Deno.test({
  name: "Fault 12: a firewall keeps others from the mesh port, which a node learns of a peer that it reaches itself",
  ignore: reason !== null,
  async fn() {
    await using lab = await NetworkLab.create(["alice", "bob"]);
    const [alice, bob] = [lab.host("alice"), lab.host("bob")];
    // As usual firewalls do: what the machine sends to itself passes.
    await drop(alice, { hook: "input" }, "iifname", "eth0", "tcp", "dport", "8911");
    const start = (host: NetworkHost, name: string, args: string[]) =>
      NodeProcess.start({
        name,
        args: ["--no-mdns", "--gpu", "off", "--wireguard", "off", ...args],
        command: [...inside(host), ...FROM_SOURCE],
        meshListen: "0.0.0.0:8911",
      });
    await using b = await start(bob, "bob", ["--models", FIXTURES]);
    await using a = await start(alice, "alice", ["--peer", `${bob.address}:8911`]);
    await a.json("peers", "approve", b.ready.public_key, "--name", "bob");
    await b.json("peers", "approve", a.ready.public_key, "--name", "alice");
    const look = (node: NodeProcess) => async () => (await node.json<{ findings: Finding[] }>("doctor")).findings;
    const { level, sentence, why, fix } = await untilFault(look(a), "inbound");
    assert.deepEqual([level, sentence], ["warning", "bob answers this node, and has never reached it"]);
    assert.match(why ?? "", /blocks TCP port 8911 of this machine$/);
    assert.match(fix, /8911/);
    // The other one says what it sees of that, and has nothing to mend at home.
    const seen = await untilFault(look(b), "peer-reach");
    assert.match(seen.sentence, /^alice cannot be reached$/);
    assert.match(seen.fix, /open the TCP port of its mesh listener/);
    fine(await look(b)(), "inbound", { said: false });
    // Once it is mended, so is what the doctor says.
    await alice.run(["nft", "delete", "table", "inet", "fw"]);
    await until(async () => (await look(a)()).every(({ check }) => check !== "inbound"));

    // A firewall that keeps out even the machine itself is seen without any peer.
    await drop(bob, { hook: "input" }, "tcp", "dport", "8911");
    const own = await untilFault(look(b), "inbound");
    assert.match(own.sentence, /^Not even this machine reaches its own mesh listener at 10\.77\.0\.2:8911$/);
  },
});

Deno.test({
  name: "Fault 13: no name server knows what --peer, --upstream and --registry name",
  ignore: reason !== null,
  fn: () =>
    withDirectory(async (data) => {
      // A host of the lab reaches no name server at all.
      await using lab = await NetworkLab.create(["alone"]);
      const host = lab.host("alone");
      const flags = ["--peer", "attic.invalid", "--upstream", "box=http://box.invalid:11434"];
      const found = await stopped(host, data, "--wireguard", "off", ...flags, "--registry", "https://list.invalid");
      assert.match(fault(found, "named-peers").sentence, /^No name server knows attic\.invalid, which --peer names$/);
      assert.match(fault(found, "named-peers").fix, /name servers/);
      assert.match(
        fault(found, "upstream").sentence,
        /^The server box cannot be found: no name server knows box\.invalid/,
      );
      assert.match(fault(found, "upstream").fix, /^Correct the name in --upstream/);
      assert.match(fault(found, "registry").sentence, /no name server knows list\.invalid$/);
    }),
});

Deno.test({
  name: "Fault 14: a WireGuard tunnel is down",
  ignore: noTunnels !== null,
  fn: () =>
    withDirectory(async (data) => {
      await using lab = await NetworkLab.create(["alice", "bob"]);
      await using tunnel = await Tunnel.create(lab.host("alice"), lab.host("bob"));
      const [{ host, command }] = tunnel.ends;
      const look = async () => (await runDoctor([...inside(host), ...command], ["--data", data])).findings;
      const up = await look();
      fine(up, "wireguard");
      assert.ok(up.some(({ sentence }) => sentence === "The WireGuard tunnel wg0 is up, with 1 peer"));
      await host.run(["ip", "link", "set", "wg0", "down"]);
      const { level, sentence, fix } = fault(await look(), "wireguard");
      assert.equal(level, "warning");
      assert.match(sentence, /^The WireGuard interface wg0 is down/);
      assert.match(fix, /sudo wg-quick up wg0, or sudo ip link set wg0 up$/);
    }),
});
