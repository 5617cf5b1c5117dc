import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { canUseNamespaces, type NetworkHost, NetworkLab } from "../support/netns.ts";
import { MdnsNode } from "./mdns_node.ts";

const reason = await canUseNamespaces();
// deno-lint-ignore no-console
if (reason !== null) console.log(`mdns_lab_test: skipped, ${reason}`);
const ignore = reason !== null;

Deno.test({
  name: "MdnsDiscovery sees a node on another machine, and hears its goodbye",
  ignore,
  async fn() {
    await using lab = await NetworkLab.create(["alice", "bob"]);
    const [alice, bob] = [lab.host("alice"), lab.host("bob")];
    await using one = new MdnsNode({ host: alice, port: 9001 });
    await using other = new MdnsNode({ host: bob, port: 9002 });
    await one.until(() => one.sees(other, bob.address) === true);
    await other.until(() => other.sees(one, alice.address) === true);
    await other.leave();
    await one.until(() => one.sees(other, bob.address) === false);
    assert.deepEqual(one.sentences, []);
  },
});

Deno.test({
  name: "MdnsDiscovery sees another node on the same machine at an address of the network",
  ignore,
  async fn() {
    await using lab = await NetworkLab.create(["alice"]);
    const host = lab.host("alice");
    await using nodes = new AsyncDisposableStack();
    const [first, second, ...more] = [9001, 9002, 9003, 9004, 9005].map((port) =>
      nodes.use(new MdnsNode({ host, port }))
    );
    assert.ok(first !== undefined && second !== undefined);
    for (const other of [second, ...more]) await first.until(() => first.sees(other, host.address) === true);
    await second.until(() => second.sees(first, host.address) === true);
    assert.equal(first.sees(first, host.address), null);
  },
});

Deno.test({
  name: "MdnsDiscovery works on a machine that has nothing but loopback",
  ignore,
  async fn() {
    await using lab = await NetworkLab.create(["hermit"], { switched: false });
    const host = lab.host("hermit");
    await using one = new MdnsNode({ host, port: 9001 });
    await using other = new MdnsNode({ host, port: 9002 });
    await one.until(() => one.sees(other, "127.0.0.1") === true);
    await other.until(() => other.sees(one, "127.0.0.1") === true);
    assert.deepEqual(one.sentences, []);
  },
});

Deno.test({
  name: "MdnsDiscovery finds nodes of the same machine by loopback where the network takes no multicast, and says so",
  ignore,
  async fn() {
    await using lab = await NetworkLab.create(["alice", "bob"]);
    const host = lab.host("alice");
    await host.run(["ip", "link", "set", "eth0", "down"]);
    await using one = new MdnsNode({ host, port: 9001 });
    await using other = new MdnsNode({ host, port: 9002 });
    await one.until(() => one.sees(other, "127.0.0.1") === true);
    await one.until(() => one.sentences.length > 0);
    assert.match(one.sentences[0] ?? "", /^Neighbours on other machines cannot be found by mDNS: .* --peer HOST:PORT$/);
    await host.run(["ip", "link", "set", "eth0", "up"]);
    await using far = new MdnsNode({ host: lab.host("bob"), port: 9003 });
    await one.until(() => one.sees(far, lab.host("bob").address) === true);
  },
});

Deno.test({
  name: "MdnsDiscovery notices that its network went and came back with another card",
  ignore,
  async fn() {
    await using lab = await NetworkLab.create(["alice", "bob"]);
    const bob = lab.host("bob");
    await using one = new MdnsNode({ host: lab.host("alice"), port: 9001 });
    await using other = new MdnsNode({ host: bob, port: 9002 });
    await one.until(() => one.sees(other, bob.address) === true);
    await lab.unplug("alice");
    await one.until(() => one.sees(other, bob.address) === false);
    await lab.plug("alice");
    await one.until(() => one.sees(other, bob.address) === true);
  },
});

Deno.test({
  name: "MdnsDiscovery says in one sentence that another program holds port 5353, and goes on when it is free",
  ignore,
  async fn() {
    await using lab = await NetworkLab.create(["alice", "bob"]);
    const [alice, bob] = [lab.host("alice"), lab.host("bob")];
    const holder = await holdPort(alice);
    await using one = new MdnsNode({ host: alice, port: 9001 });
    await using other = new MdnsNode({ host: bob, port: 9002 });
    await one.until(() => one.sentences.length > 0);
    assert.deepEqual(one.sentences, [
      "Neighbours on other machines cannot be found by mDNS: another program holds UDP port 5353 for itself; " +
      "name them with --peer HOST:PORT",
    ]);
    holder.kill("SIGKILL");
    await holder.status;
    await one.until(() => one.sees(other, bob.address) === true);
    await other.until(() => other.sees(one, alice.address) === true);
  },
});

Deno.test({
  name: "MdnsDiscovery waits for a network where there is none at all, and says so",
  ignore,
  async fn() {
    await using lab = await NetworkLab.create(["alice", "bob"]);
    const [alice, bob] = [lab.host("alice"), lab.host("bob")];
    await lab.unplug("alice");
    await alice.run(["ip", "address", "flush", "dev", "lo"]);
    await using one = new MdnsNode({ host: alice, port: 9001 });
    await using other = new MdnsNode({ host: bob, port: 9002 });
    await one.until(() => one.sentences.length > 0);
    assert.match(one.sentences[0] ?? "", /no network interface has an IPv4 address/);
    await lab.plug("alice");
    await one.until(() => one.sees(other, bob.address) === true);
  },
});

Deno.test({
  name: "MdnsDiscovery still finds a neighbour while somebody floods the network with rubbish",
  ignore,
  async fn() {
    await using lab = await NetworkLab.create(["alice", "bob", "mallory"]);
    const [alice, bob, mallory] = [lab.host("alice"), lab.host("bob"), lab.host("mallory")];
    const flood = fileURLToPath(new URL("mdns_flood.ts", import.meta.url));
    const child = mallory.spawn([Deno.execPath(), "run", "-A", "--no-check", flood, mallory.address], {
      cwd: import.meta.dirname ?? ".",
    });
    await using one = new MdnsNode({ host: alice, port: 9001 });
    await using other = new MdnsNode({ host: bob, port: 9002 });
    await one.until(() => one.sees(other, bob.address) === true);
    // A goodbye is said once, and may be lost in the flood like any packet; what it was told before is not.
    child.kill("SIGKILL");
    await child.status;
    await other.leave();
    await one.until(() => one.sees(other, bob.address) === false);
  },
});

/** Binds port 5353 in a way that lets nobody else in. */
async function holdPort(host: NetworkHost): Promise<Deno.ChildProcess> {
  const script = `
    const { createSocket } = await import("node:dgram");
    createSocket("udp4").bind(5353, "0.0.0.0", () => console.log("bound"));`;
  const child = host.spawn([Deno.execPath(), "eval", script], { stdout: "piped" });
  const reader = child.stdout.getReader();
  assert.match(new TextDecoder().decode((await reader.read()).value), /bound/);
  await reader.cancel();
  return child;
}
