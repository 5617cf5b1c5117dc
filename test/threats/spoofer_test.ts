/** A neighbour who answers before the one whose name he uses. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { until } from "../inference/local_fixture.ts";
import { FIXTURES, MODEL } from "../mesh/test_node.ts";
import { canUseNamespaces, type NetworkHost, NetworkLab } from "../support/netns.ts";
import { FROM_SOURCE, NodeProcess } from "../support/node_process.ts";

const reason = await canUseNamespaces();
// deno-lint-ignore no-console
if (reason !== null) console.log(`spoofer_test: skipped, ${reason}`);

function start(host: NetworkHost, options: { name: string; data: string; args?: string[] }): Promise<NodeProcess> {
  const { args = [], ...rest } = options;
  const command = ["ip", "netns", "exec", host.namespace, ...FROM_SOURCE];
  return NodeProcess.start({ ...rest, args: ["--wireguard", "off", ...args], command, meshListen: "0.0.0.0:8911" });
}

Deno.test({
  name: "T07: Who announces a peer's id from his own address gets no byte of a request, and the peer gets it all",
  ignore: reason !== null,
  async fn() {
    await using lab = await NetworkLab.create(["alice", "bob", "mallory"]);
    const [alice, bob, mallory] = [lab.host("alice"), lab.host("bob"), lab.host("mallory")];
    const data = await Deno.makeTempDir({ prefix: "ark-spoof-" });
    try {
      // Bob and Alice know each other's keys, and Bob is away.
      let bobId: string;
      await using a = await start(alice, { name: "alice", data: `${data}/a` });
      {
        await using b = await start(bob, { name: "bob", data: `${data}/b`, args: ["--no-mdns", "--models", FIXTURES] });
        bobId = b.id;
        await b.json("peers", "approve", a.ready.node_id, "--name", "alice");
        await a.json("peers", "approve", b.ready.node_id, "--name", "bob");
      }
      const seen: { shaken: boolean; bytes: number }[] = [];
      const spoofer = mallory.spawn(
        [
          Deno.execPath(),
          "run",
          "-A",
          "--no-check",
          fileURLToPath(new URL("mdns_spoofer.ts", import.meta.url)),
          mallory.address,
          bobId,
        ],
        { cwd: import.meta.dirname ?? ".", stdout: "piped" },
      );
      const reading = (async () => {
        let rest = "";
        for await (const text of spoofer.stdout.pipeThrough(new TextDecoderStream())) {
          const lines = (rest + text).split("\n");
          rest = lines.pop() ?? "";
          seen.push(...lines.map((line) => JSON.parse(line)));
        }
      })();
      // Alice has gone to where Bob is said to be, and found somebody else.
      await until(() => seen.length >= 2);
      type Status = { peers: { state: string; address: string | null }[] };
      const before = await a.json<Status>("peers", "list");
      assert.deepEqual(before.peers.map(({ state, address }) => [state, address]), [["unseen", null]]);
      type Discovered = { peers: { node_id: string; addresses: string[] }[] };
      assert.deepEqual((await a.json<Discovered>("peers", "discovered")).peers, []);

      await using _b = await start(bob, { name: "bob", data: `${data}/b`, args: ["--models", FIXTURES] });
      await until(async () => (await a.json<{ models: unknown[] }>("models")).models.length > 0);
      const answer = await a.json<{ text: string; node: string }>(
        "ask",
        MODEL,
        "Tell me a story.",
        "--max-tokens",
        "8",
      );
      assert.equal(answer.node, "bob");
      const { peers: [status] } = await a.json<Status>("peers", "list");
      assert.deepEqual([status?.state, status?.address], ["ready", `${bob.address}:8911`]);
      spoofer.kill("SIGTERM");
      await spoofer.status;
      await reading;
      assert.ok(seen.some(({ shaken }) => shaken));
      assert.equal(seen.reduce((sum, { bytes }) => sum + bytes, 0), 0, JSON.stringify(seen));
    } finally {
      await Deno.remove(data, { recursive: true });
    }
  },
});
