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
    const own = await processStart(Deno.ppid);
    const tag = crypto.randomUUID().slice(0, 8);
    const left = [
      `ark-${dead.pid}.${own}-${tag}-left`,
      // Its process is dead, although another one has the id by now.
      `ark-${Deno.ppid}.${Number(own) - 1}-${tag}-reused`,
      `ark-${dead.pid}-${tag}-old`,
    ];
    const alive = [`ark-${Deno.ppid}.${own}-${tag}-alive`, `ark-${Deno.ppid}-${tag}-alive`];
    for (const name of [...left, ...alive]) await ip("add", name);
    const orphan = new Deno.Command("ip", { args: ["netns", "exec", left[0] ?? "", "sleep", "1000"] }).spawn();
    try {
      while (await sleepers(left[0] ?? "") === 0) await new Promise((resolve) => setTimeout(resolve, 10));
      await using _lab = await NetworkLab.create(["alice"]);
      const names = (await namespaces()).split("\n").map((line) => line.split(" ")[0] ?? "");
      assert.deepEqual(names.filter((name) => name.includes(tag)).toSorted(), alive.toSorted());
      assert.equal((await orphan.status).signal, "SIGKILL");
    } finally {
      for (const name of [...left, ...alive]) await ip("delete", name);
      await orphan.status;
    }
  },
});

Deno.test({
  name: "NetworkLab.create() gives labs of one process names of their own",
  ignore,
  async fn() {
    const labs = await Promise.all(Array.from({ length: 4 }, () => NetworkLab.create(["alice"])));
    try {
      assert.equal(new Set(labs.map((lab) => lab.host("alice").namespace)).size, 4);
    } finally {
      await Promise.all(labs.map((lab) => lab[Symbol.asyncDispose]()));
    }
  },
});

async function ip(verb: "add" | "delete", name: string): Promise<void> {
  await new Deno.Command("ip", { args: ["netns", verb, name] }).output();
}

async function processStart(pid: number): Promise<string> {
  return (await Deno.readTextFile(`/proc/${pid}/stat`)).replace(/^.*\) /, "").split(" ")[19] ?? "";
}

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
