/** What must not leave this machine does not (T65). */
import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { auditOf, FIXTURES, MODEL, Pair, TestNode } from "../mesh/test_node.ts";
import { canUseNamespaces, type NetworkHost, NetworkLab } from "../support/netns.ts";
import { FROM_SOURCE, NodeProcess } from "../support/node_process.ts";

const reason = await canUseNamespaces();
// deno-lint-ignore no-console
if (reason !== null) console.log(`local_only_test: the count of bytes is skipped, ${reason}`);

Deno.test("T65: A request that must stay here gets 503 where the model is elsewhere, and no peer hears of it", async () => {
  await using pair = await Pair.start();
  const { a, b } = pair;
  const { body: { text } } = await a.admin<{ text: string }>("/keys", { name: "private", local_only: true });
  const key = { authorization: `Bearer ${text}` };
  const ways: Record<string, string>[] = [
    { "x-ark-local-only": "1" },
    { "X-Ark-Local-Only": "TRUE" },
    key,
    // The key's owner decides, and not the app that has it.
    { ...key, "x-ark-local-only": "0" },
  ];
  for (const headers of ways) {
    for (const stream of [false, true]) {
      const response = await a.chat({ model: MODEL, stream }, { headers });
      assert.equal(response.status, 503, JSON.stringify(headers));
      const { error } = await response.json();
      assert.equal(error.code, "unavailable");
      assert.match(error.message, /is not on this machine, and this request must not leave it/);
      assert.equal(response.headers.get("x-ark-route"), null);
    }
    const { data } = await (await fetch(`${a.api}/v1/models`, { headers })).json();
    assert.deepEqual(data, [], "Nor is it shown what it may not have");
  }
  const vague = await a.chat({ model: MODEL }, { headers: { "x-ark-local-only": "please" } });
  assert.equal(vague.status, 400, "A wish that cannot be read is not guessed");
  await vague.body?.cancel();
  assert.ok(!b.workerLog().includes("generate"));
  for (const node of [a, b]) {
    assert.deepEqual(auditOf(node).filter(({ kind }) => kind === "start" || kind === "deny"), []);
  }

  // The same request without the wish goes there, so it could have.
  const sent = await a.chat({ model: MODEL, max_tokens: 2 }, { headers: { "x-ark-local-only": "0" } });
  assert.deepEqual([sent.status, sent.headers.get("x-ark-route")], [200, "peer"]);
  await sent.body?.cancel();
});

Deno.test("T65: A request that must stay here does not go to a peer when this machine's own engine fails", async () => {
  await using pair = await Pair.start();
  await using own = await TestNode.start({ name: "C", models: [FIXTURES], peers: [pair.b.mesh] });
  await pair.b.approve({ publicKey: own.publicKey, name: "C" });
  await own.approve({ publicKey: pair.b.publicKey, name: "B" });
  await until(async () => (await own.admin<{ models: unknown[] }>("/models")).body.models.length === 2);
  const ask = async (wish: string) => {
    const messages = [{ role: "user", content: "#fail-after=0" }];
    const response = await own.chat({ model: MODEL, messages }, { headers: { "x-ark-local-only": wish } });
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await ask("1"), 500);
  assert.ok(own.workerLog().includes("generate"));
  assert.ok(!pair.b.workerLog().includes("generate"));
  // Without the wish the peer is the next one to be asked.
  await ask("0");
  assert.ok(pair.b.workerLog().includes("generate"));
});

async function sentBytes(host: NetworkHost): Promise<number> {
  return Number((await host.run(["cat", "/sys/class/net/eth0/statistics/tx_bytes"])).stdout);
}

Deno.test({
  name: "T65: Not one byte of a prompt that must stay here leaves the machine's network card",
  ignore: reason !== null,
  async fn() {
    await using lab = await NetworkLab.create(["alice", "bob"]);
    const [alice, bob] = [lab.host("alice"), lab.host("bob")];
    const start = (host: NetworkHost, name: string, args: string[]) =>
      NodeProcess.start({
        name,
        args: ["--no-mdns", ...args],
        command: ["ip", "netns", "exec", host.namespace, ...FROM_SOURCE],
        meshListen: "0.0.0.0:8911",
      });
    await using b = await start(bob, "bob", ["--models", FIXTURES]);
    await using a = await start(alice, "alice", ["--peer", `${bob.address}:8911`]);
    await until(async () => (await a.json<{ peers: unknown[] }>("peers", "discovered")).peers.length > 0);
    await a.json("peers", "approve", b.ready.public_key);
    await b.json("peers", "approve", a.ready.public_key);
    await until(async () => (await a.json<{ models: unknown[] }>("models")).models.length > 0);

    // As long as a word of the command line may be, and not to be made shorter by any compression on the way.
    const prompt = crypto.getRandomValues(new Uint8Array(60_000)).toHex();
    const before = await sentBytes(alice);
    for (let round = 0; round < 2; round++) {
      const { code, stderr } = await a.cli("ask", MODEL, prompt, "--local-only");
      assert.equal(code, 1);
      assert.match(stderr, /must not leave it/);
    }
    const between = await sentBytes(alice);
    assert.ok(
      between - before < prompt.length / 2,
      `${between - before} bytes left, of which a prompt would be 120,000`,
    );
    // Without the wish the prompt does leave, although it is too long for the model there.
    assert.match((await a.cli("ask", MODEL, prompt)).stderr, /context/);
    assert.ok(await sentBytes(alice) - between >= prompt.length);
  },
});
