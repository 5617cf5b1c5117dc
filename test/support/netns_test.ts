import assert from "node:assert/strict";
import { canUseNamespaces, NetworkLab } from "./netns.ts";

const reason = await canUseNamespaces();
// deno-lint-ignore no-console
if (reason !== null) console.log(`netns_test: skipped, ${reason}`);
const ignore = reason !== null;

Deno.test({
  name: "NetworkLab joins hosts that see each other and nothing else",
  ignore,
  async fn() {
    await using lab = await NetworkLab.create(["alice", "bob"]);
    const [alice, bob] = [lab.host("alice"), lab.host("bob")];
    assert.match((await alice.run(["ip", "route"])).stdout, /^10\.77\.0\.0\/24 dev eth0/);
    assert.doesNotMatch((await alice.run(["ip", "route"])).stdout, /default/);
    const child = bob.spawn([Deno.execPath(), "eval", listen(bob.address)], { stdout: "piped" });
    const reader = child.stdout.getReader();
    await reader.read();
    assert.match((await alice.run([Deno.execPath(), "eval", dial(bob.address)])).stdout, /hello/);
    await reader.cancel();
    await assert.rejects(alice.run([Deno.execPath(), "eval", dial("127.0.0.1")]), /refused/);
  },
});

Deno.test({
  name: "NetworkLab ends what it started, children of children too, and leaves no namespace",
  ignore,
  async fn() {
    let namespace = "";
    await assert.rejects(async () => {
      await using lab = await NetworkLab.create(["alice"]);
      namespace = lab.host("alice").namespace;
      lab.host("alice").spawn(["sh", "-c", "sleep 1000 & sleep 1000"]);
      throw new Error("a test that fails");
    }, /a test that fails/);
    assert.doesNotMatch(await namespaces(), new RegExp(namespace));
    const late = AbortSignal.timeout(10_000);
    while (await sleepers(namespace) > 0) {
      late.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  },
});

Deno.test({
  name: "NetworkLab removes what a killed run left behind, and leaves alone what belongs to one that lives",
  ignore,
  async fn() {
    const dead = new Deno.Command("true").spawn();
    await dead.status;
    const [left, alive] = [`ark-${dead.pid}-1-left`, `ark-${Deno.ppid}-99-alive`];
    for (const name of [left, alive]) await new Deno.Command("ip", { args: ["netns", "add", name] }).output();
    try {
      await using _lab = await NetworkLab.create(["alice"]);
      assert.doesNotMatch(await namespaces(), new RegExp(left));
      assert.match(await namespaces(), new RegExp(alive));
    } finally {
      await new Deno.Command("ip", { args: ["netns", "delete", alive] }).output();
    }
  },
});

async function namespaces(): Promise<string> {
  return new TextDecoder().decode((await new Deno.Command("ip", { args: ["netns", "list"] }).output()).stdout);
}

async function sleepers(namespace: string): Promise<number> {
  const { stdout } = await new Deno.Command("ip", { args: ["netns", "pids", namespace], stderr: "null" }).output();
  return new TextDecoder().decode(stdout).split("\n").filter(Boolean).length;
}

function listen(hostname: string): string {
  return `const l = Deno.listen({ hostname: "${hostname}", port: 7000 }); console.log("up");
    for await (const c of l) { await c.write(new TextEncoder().encode("hello")); c.close(); }`;
}

function dial(hostname: string): string {
  return `const c = await Deno.connect({ hostname: "${hostname}", port: 7000 });
    const b = new Uint8Array(9); console.log(new TextDecoder().decode(b.subarray(0, await c.read(b))));`;
}
