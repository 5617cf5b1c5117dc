/** Peers and links that are well most of the time: how many requests are answered, and how many are taken away for nothing. */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { seeded } from "../../support/seeded.ts";
import { askChain, assertHonest, assertWhole, type ChainAnswer, quantile } from "./chain_client.ts";
import { FaultLab } from "./fault_lab.ts";

const LONG = Deno.env.has("ARK_LONG");

/** Asks so many questions, some at a time. */
async function askMany(
  lab: FaultLab,
  { count, atOnce, tokens, prompt }: { count: number; atOnce: number; tokens: number; prompt: string },
): Promise<ChainAnswer[]> {
  const answers: ChainAnswer[] = [];
  let left = count;
  const client = async () => {
    while (left-- > 0) {
      const ends = left % 2 === 0 ? "stop" : "length";
      answers.push(await askChain(lab.api, { tokens, ends, prompt: `${prompt} question ${left}` }));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, client));
  return answers;
}

/** Each answer is honest; returns the share of those that are whole. */
function shareOfWhole(what: string, answers: readonly ChainAnswer[]): number {
  for (const answer of answers) assertHonest(answer, what);
  const whole = answers.filter(({ error }) => error === null).length;
  const failed = Object.entries(Object.groupBy(answers, ({ error }) => error?.code ?? "ok"))
    .map(([code, some = []]) => `${code} ${some.length}`);
  const gaps = answers.map(({ gapMs }) => gapMs);
  // deno-lint-ignore no-console
  console.log(
    `${what}: ${whole} of ${answers.length} complete (${failed.join(", ")}), longest silence of an answer ` +
      `p50 ${quantile(gaps, 0.5).toFixed(0)} ms, p95 ${quantile(gaps, 0.95).toFixed(0)} ms`,
  );
  return whole / answers.length;
}

Deno.test("Three peers that fail at one request in ten answer nearly all", async () => {
  await using lab = await FaultLab.start({
    peers: 3,
    environment: (index) => ({ CHAIN_FAILS: `0.1:${index + 11}` }),
  });
  const count = LONG ? 2_000 : 100;
  const answers = await askMany(lab, { count, atOnce: 10, tokens: 30, prompt: "#slow=4" });
  const share = shareOfWhole("Three peers that fail at 10 % of the requests", answers);
  // One in ten of three that fail together is one in a thousand, and whoever is there gets a second chance.
  assert.ok(share >= (LONG ? 0.999 : 0.99), `${share}`);
});

Deno.test("Three peers whose links are down a tenth of the time answer nearly all", async () => {
  await using lab = await FaultLab.start({ peers: 3 });
  const stop = new AbortController();
  const random = seeded(5);
  const chaos = Promise.all(lab.peers.map(async ({ link }) => {
    while (!stop.signal.aborted) {
      const downMs = 200 + 200 * random();
      await pause(9 * downMs, undefined, { signal: stop.signal }).catch(() => {});
      if (stop.signal.aborted) break;
      link.fail("refuse");
      await pause(downMs, undefined, { signal: stop.signal }).catch(() => {});
      link.heal();
    }
  }));
  const count = LONG ? 2_000 : 100;
  const answers = await askMany(lab, { count, atOnce: 10, tokens: 30, prompt: "#slow=10" });
  stop.abort();
  await chaos;
  const share = shareOfWhole("Three peers whose links are down 10 % of the time", answers);
  // How long a gateway is blind to a link that is back counts, too: this is no matter of the answers alone.
  assert.ok(share >= (LONG ? 0.999 : 0.97), `${share}`);
});

Deno.test("A noisy link loses no token, and takes hardly an answer from a node that is well", async () => {
  await using lab = await FaultLab.start({ peers: 2 });
  for (const { link } of lab.peers) {
    // 40 tokens in a second, each a quarter of its time early or late; two in a thousand hang for 150 ms on average.
    link.shape("both", { latencyMs: 5, jitterMs: 12, hiccups: { share: 0.002, meanMs: 150 } });
  }
  const count = LONG ? 2_000 : 14;
  const answers = await askMany(lab, { count, atOnce: 14, tokens: 60, prompt: "#slow=25" });
  for (const answer of answers) assertWhole(answer);
  const extra = lab.begins - count;
  // Only an answer that really went elsewhere was taken away: a node that read along in vain took nothing.
  const { failovers } = lab;
  shareOfWhole("A noisy link", answers);
  // deno-lint-ignore no-console
  console.log(
    `A noisy link: ${failovers} of ${count} healthy answers were taken away (${
      (100 * failovers / count).toFixed(2)
    } %), ` +
      `${extra} prompts were read in vain (${(100 * extra / count).toFixed(1)} %)`,
  );
  // How long a machine that does other things as well is silent is no matter of this test's short form.
  if (LONG) assert.ok(failovers / count <= 0.001, `${failovers} of ${count}`);
});
