/**
 * R04: links from good to hardly usable, as in iroh's "degrade ladder". There is no netem in every kernel: a lost segment is
 * what TCP makes of it, a stream that hangs for a round trip and the shortest time until it is sent again.
 */
import assert from "node:assert/strict";
import { askChain, assertHonest, assertWhole, type ChainAnswer, quantile } from "./chain_client.ts";
import { FaultLab } from "./fault_lab.ts";

const LONG = Deno.env.has("ARK_LONG");
const TOKENS = 200;
const COUNT = LONG ? 100 : 4;
const AT_ONCE = LONG ? 10 : 4;
/** The shortest time after which Linux sends a segment again, in milliseconds. */
const AGAIN_MS = 200;
/** The last rung may fail, within so many milliseconds. */
const LONGEST_MS = 60_000;

/** Bits in a second, round trip in milliseconds, part of the segments that are lost. */
const RUNGS: readonly (readonly [number, number, number])[] = [
  [100e6, 16, 0.001],
  [50e6, 30, 0.0025],
  [20e6, 50, 0.005],
  [10e6, 80, 0.01],
  [5e6, 120, 0.02],
  [2e6, 200, 0.04],
  [1e6, 300, 0.07],
  [512e3, 500, 0.12],
  [256e3, 800, 0.25],
];

Deno.test("R04: An answer of 200 tokens comes over links that get worse and worse, or ends with a sentence", async (t) => {
  await using lab = await FaultLab.start();
  for (const [rung, [bits, rtt, loss]] of RUNGS.entries()) {
    if (!LONG && rung % 4 !== 0) continue;
    await t.step(`rung ${rung}: ${bits / 1e6} Mbit/s, ${rtt} ms, ${100 * loss} %`, async () => {
      for (const { link } of lab.peers) {
        link.shape("both", {
          latencyMs: rtt / 2,
          bytesPerSecond: bits / 8,
          hiccups: { share: loss, meanMs: rtt + AGAIN_MS },
        });
      }
      await lab.settled();
      const answers: (ChainAnswer & { ms: number })[] = [];
      let left = COUNT;
      await Promise.all(Array.from({ length: AT_ONCE }, async () => {
        while (left-- > 0) {
          const began = performance.now();
          const answer = await askChain(lab.api, { tokens: TOKENS, prompt: `#slow=5 rung ${rung} question ${left}` });
          answers.push({ ...answer, ms: performance.now() - began });
        }
      }));
      const whole = answers.filter(({ error }) => error === null).length;
      const times = answers.map(({ ms }) => ms);
      // deno-lint-ignore no-console
      console.log(
        `R04 rung ${rung}: ${whole} of ${answers.length} whole, p50 ${quantile(times, 0.5).toFixed(0)} ms, ` +
          `longest ${Math.max(...times).toFixed(0)} ms`,
      );
      for (const answer of answers) {
        if (rung < RUNGS.length - 1) assertWhole(answer, `rung ${rung}`);
        else {
          assertHonest(answer, `rung ${rung}`);
          if (LONG) assert.ok(answer.ms <= LONGEST_MS, `${answer.ms} ms`);
        }
      }
    });
  }
});
