/**
 * R01: how soon it is noticed that a link is cut on which nothing is asked. All cuts are noticed; how soon is printed and judged
 * on a machine that does nothing else: nine nodes share it, and cutting takes its time, too.
 */
import assert from "node:assert/strict";
import { until } from "../../inference/local_fixture.ts";
import { canUseNamespaces, NetworkLab } from "../../support/netns.ts";
import { quantile } from "./chain_client.ts";
import { FROM_SOURCE, NodeProcess } from "../../support/node_process.ts";

const LONG = Deno.env.has("ARK_LONG");
/** Links that are cut at the same time, and how often: 200 cuts in the long form. */
const PEERS = LONG ? 8 : 2;
const ROUNDS = LONG ? 25 : 1;
const EVERY_MS = 25;

const reason = await canUseNamespaces();
// deno-lint-ignore no-console
if (reason !== null) console.log(`cut_test: skipped, ${reason}`);

/** How long this process was held up since it was looked at last, in milliseconds. */
function heldUp(): Disposable & { take(): number } {
  let [sum, last] = [0, performance.now()];
  const timer = setInterval(() => {
    const now = performance.now();
    sum += Math.max(0, now - last - 2 * EVERY_MS);
    last = now;
  }, EVERY_MS);
  return {
    take: () => {
      const taken = sum;
      sum = 0;
      return taken;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

Deno.test({
  name: "R01: A link that is cut while nothing is asked is noticed soon, and so is its return",
  ignore: reason !== null,
  async fn() {
    await using stack = new AsyncDisposableStack();
    const names = Array.from({ length: PEERS }, (_, index) => `peer${index}`);
    const lab = stack.use(await NetworkLab.create(["gateway", ...names]));
    const start = async (name: string) => {
      const command = ["ip", "netns", "exec", lab.host(name).namespace, ...FROM_SOURCE];
      const options = { name, args: ["--wireguard", "off"], command, meshListen: "0.0.0.0:8911" };
      return stack.use(await NodeProcess.start(options));
    };
    const gateway = await start("gateway");
    for (const name of names) {
      const peer = await start(name);
      await peer.json("peers", "approve", gateway.ready.node_id, "--name", "gateway");
      await gateway.json("peers", "approve", peer.ready.node_id, "--name", name);
    }
    /** Milliseconds from a time until each peer was said to be so, once all were. */
    const said = async (what: string, after: number): Promise<number[]> => {
      const times = () =>
        gateway.log.split("\n").filter((line) => line.includes(what)).map((line) =>
          Date.parse(line.split(" ")[0] ?? "")
        )
          .filter((at) => at >= after);
      await until(() => times().length >= PEERS);
      return times().map((at) => at - after);
    };
    await said("A peer is ready", 0);
    using held = heldUp();
    const gone: number[] = [];
    const back: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      // At any moment between two signs of life.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 2_000));
      held.take();
      const cutAt = Date.now();
      await Promise.all(names.map((name) => lab.host(name).run(["ip", "link", "set", "eth0", "down"])));
      const since = await said("A peer is unreachable", cutAt);
      // Time in which nobody ran on this machine is no silence, and is not counted as one.
      const heldMs = held.take();
      gone.push(...since.map((ms) => Math.round(ms - heldMs)));
      const healedAt = Date.now();
      await Promise.all(names.map((name) => lab.host(name).run(["ip", "link", "set", "eth0", "up"])));
      back.push(...await said("A peer is ready", healedAt));
    }
    assert.equal(gone.length, PEERS * ROUNDS);
    // deno-lint-ignore no-console
    console.log(
      `R01: ${gone.length} cuts are noticed after ${quantile(gone, 0.5)} ms (p50), ${quantile(gone, 0.95)} ms (p95), ` +
        `${Math.max(...gone)} ms at worst (goal: 5,000), returns within ${Math.max(...back)} ms`,
    );
  },
});
