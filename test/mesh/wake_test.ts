/** A gateway and a node that sleeps, on machines of their own as far as the network can tell: a question wakes it. */
import assert from "node:assert/strict";
import type { PeerStatus } from "@ark/node/http";
import type { LedgerEntry } from "@ark/node/routing";
import { fileURLToPath } from "node:url";
import { until } from "../inference/local_fixture.ts";
import { canUseNamespaces, type NetworkHost, NetworkLab } from "../support/netns.ts";
import { FROM_SOURCE, NodeProcess } from "../support/node_process.ts";
import { FIXTURES, MODEL } from "./test_node.ts";

const reason = await canUseNamespaces();
// deno-lint-ignore no-console
if (reason !== null) console.log(`wake_test: skipped, ${reason}`);

interface Heard {
  listening?: true;
  mac?: string | null;
}

/** Starts the card of a sleeping machine, and returns what it hears. */
async function startCard(host: NetworkHost): Promise<{ heard: Heard[]; stop: () => Promise<void> }> {
  const program = fileURLToPath(new URL("../support/network_card.ts", import.meta.url));
  const child = host.spawn([Deno.execPath(), "run", "-A", program], { stdout: "piped", stderr: "inherit" });
  const heard: Heard[] = [];
  const reading = (async () => {
    let rest = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) heard.push(JSON.parse(line));
    }
  })();
  await until(() => heard.some(({ listening }) => listening === true));
  return {
    heard,
    async stop() {
      child.kill("SIGKILL");
      await Promise.all([child.status, reading]);
    },
  };
}

function start(host: NetworkHost, options: { name: string; data: string; args: string[] }): Promise<NodeProcess> {
  const command = ["ip", "netns", "exec", host.namespace, ...FROM_SOURCE];
  return NodeProcess.start({ ...options, command, meshListen: "0.0.0.0:8911" });
}

Deno.test({
  name: "A question for a model that only a sleeping node of the owner has wakes it by a magic packet, and is answered",
  ignore: reason !== null,
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      await using lab = await NetworkLab.create(["gateway", "sleeper"]);
      const [here, there] = [lab.host("gateway"), lab.host("sleeper")];
      const peer = (host: NetworkHost) => ["--no-mdns", "--peer", `${host.address}:8911`];
      await using a = await start(here, {
        name: "gateway",
        data: `${folder}/a`,
        args: [...peer(there), "--role", "gateway"],
      });
      const startB = () =>
        start(there, { name: "sleeper", data: `${folder}/b`, args: [...peer(here), "--models", FIXTURES] });
      const [mac = ""] =
        /(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/.exec((await there.run(["ip", "link", "show", "eth0"])).stdout) ?? [];
      {
        await using b = await startB();
        await b.json("peers", "approve", a.ready.public_key, "--own", "--models", "*", "--name", "gateway");
        await a.json("peers", "approve", b.ready.public_key, "--own", "--models", "*", "--name", "sleeper");
        await until(async () => {
          const text = await Deno.readTextFile(`${folder}/a/own_nodes.json`).catch(() => "");
          return text.includes(mac) && text.includes(MODEL);
        });
      }
      // It sleeps, and is known to.
      await until(async () => {
        const { peers } = await a.json<{ peers: PeerStatus[] }>("peers", "list");
        return peers[0]?.asleep === true;
      });
      assert.match((await a.cli("models")).stdout, /arkling:9m-q4_0 .*sleeper \(asleep\)/);
      assert.match((await a.cli("why", MODEL)).stdout, /sleeper would answer .* would be woken/);

      const card = await startCard(there);
      const asked = a.json<{ finish_reason: string }>("ask", MODEL, "hello", "--max-tokens", "2");
      await until(() => card.heard.some((heard) => heard.mac === mac));
      // What the card does: it switches the machine on.
      await using _b = await startB();
      assert.notEqual((await asked).finish_reason, null);
      await card.stop();
      const packets = card.heard.filter((heard) => heard.mac !== undefined);
      assert.ok(packets.every((heard) => heard.mac === mac), "Nothing else was sent");
      assert.ok(packets.length <= 10, `${packets.length} packets are a storm`);
      const { requests } = await a.json<{ requests: LedgerEntry[] }>("requests");
      const last = requests.at(-1);
      assert.deepEqual([last?.outcome, last?.where, last?.answered_by], ["ok", "peer", "sleeper"]);
      assert.equal(last?.steps[0]?.type, "woken");
      assert.match((await a.cli("wake", "sleeper")).stdout, /^sleeper is awake\.$/m);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
