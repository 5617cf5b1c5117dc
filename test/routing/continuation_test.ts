/** An answer goes on elsewhere when whoever writes it fails: the reader sees each token once, or an error. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { ErrorCode } from "@ark/node/protocol";
import {
  chain,
  ChainBackend,
  chainScene,
  type Fate,
  inGroups,
  inTwo,
  plainText,
  readChain,
  readShort,
  withCalls,
} from "./chain_backend.ts";

const LONG = Deno.env.get("ARK_LONG") === "1";

/** Failures after which somebody else is asked. */
const PASSING: readonly ErrorCode[] = ["unavailable", "internal", "busy", "revoked", "forbidden"];

function fate(most: number, hows: readonly Fate["how"][]): fc.Arbitrary<Fate> {
  return fc.record({ after: fc.nat(most), how: fc.constantFrom(...hows) });
}

Deno.test("Router.infer() shows each token once, whoever fails and when, as long as one candidate is sound", async () => {
  const scene = fc.record({
    most: fc.integer({ min: 1, max: 20 }),
    // No more failures in all than an answer may change hands.
    fates: fc.array(fate(22, [...PASSING, "cut", "silent", { lateMs: 3 }]).filter(notSilentEarly), { maxLength: 5 }),
    owners: fc.array(fc.nat(3), { minLength: 5, maxLength: 5 }),
    candidates: fc.integer({ min: 2, max: 5 }),
    grammar: fc.constantFrom(plainText, inGroups, inTwo, withCalls),
    here: fc.boolean(),
    short: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(scene, async ({ most, fates, owners, candidates, grammar, here, short }) => {
      const backends = Array.from({ length: candidates }, (_, index) => {
        const own = index === candidates - 1
          ? []
          : fates.filter((_, at) => (owners[at] ?? 0) % (candidates - 1) === index);
        return new ChainBackend(`peer${index}`, { fates: own, grammar });
      });
      // Which one is sound must not depend on the order in which they are asked.
      const [local = backends[0], ...rest] = backends;
      const { infer, steps } = here && local !== undefined
        ? chainScene({ peers: rest, local, stall: 20 })
        : chainScene({ peers: backends, stall: 20 });
      const request = { parameters: { max_tokens: most } };
      const { ids, error, events } = await readChain(short ? readShort(infer, request) : infer(request));
      assert.equal(error, null);
      assert.deepEqual(ids, chain(most));
      const end = events.at(-1);
      assert.ok(end?.type === "end");
      assert.deepEqual(end.usage, { prompt_tokens: 5, completion_tokens: most });
      assert.deepEqual(steps.filter(({ type }) => type === "ended").length, 1);
      assert.equal(steps.at(-1)?.type, "ended");
      for (const backend of backends) assert.equal(backend.running, 0, "Nobody is left behind");
    }),
    { numRuns: LONG ? 3_000 : 150 },
  );
});

/** Before the first part silence is not a stall: it is waited for much longer. */
function notSilentEarly({ after, how }: Fate): boolean {
  return how !== "silent" || after >= 3;
}

Deno.test("Router.infer() shows a beginning of the answer and a typed error where nobody is sound, and never a gap", async () => {
  const hows: Fate["how"][] = [...PASSING, "engine_failed", "bad_request", "context_exceeded", "cut"];
  const backend = fc.record({
    fates: fc.array(fate(9, hows), { maxLength: 8 }),
    digest: fc.constantFrom(undefined, null, "d5".repeat(32)),
    old: fc.boolean(),
    mute: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(backend, { minLength: 1, maxLength: 5 }), async (made) => {
      const peers = made.map(({ digest, ...options }, index) =>
        new ChainBackend(`peer${index}`, { ...options, ...digest === undefined ? {} : { digest } })
      );
      const { infer, steps } = chainScene({ peers, stall: "off" });
      const { ids, error } = await readChain(infer({ parameters: { max_tokens: 8 } }));
      assert.deepEqual(ids, chain(ids.length));
      assert.equal(error === null, ids.length === 8 && steps.at(-1)?.type === "ended" && outcomeOf(steps) === "ok");
      for (const peer of peers) assert.equal(peer.running, 0);
    }),
    { numRuns: LONG ? 3_000 : 200 },
  );
});

function outcomeOf(steps: readonly { type: string }[]): unknown {
  return (steps.at(-1) as { outcome?: unknown }).outcome;
}

Deno.test(`Of ${LONG ? "10,000" : "1,000"} kills in the middle of an answer none loses or doubles a token`, async () => {
  const wanted = LONG ? 10_000 : 1_000;
  let kills = 0;
  let [doubled, missing] = [0, 0];
  for (let round = 0; kills < wanted; round++) {
    // A different point each time, from the first token to the last, twice in an answer where there is room.
    const most = 1 + round % 24;
    const fates = [{ after: 3 + round * 7 % most, how: HOWS[round % HOWS.length] ?? "unavailable" }];
    const grammar = [plainText, inGroups, inTwo, withCalls][round % 4] ?? plainText;
    const peers = [0, 1].map((index) => new ChainBackend(`p${index}`, { fates, grammar }));
    const { infer, steps } = chainScene({ peers: [...peers, new ChainBackend("sound", { grammar })], stall: 10 });
    const { ids, error } = await readChain(infer({ parameters: { max_tokens: most } }));
    assert.equal(error, null);
    kills += steps.filter(({ type }) => type === "failed").length;
    doubled += ids.length - new Set(ids).size;
    missing += chain(most).filter((id) => !ids.includes(id)).length;
    assert.deepEqual(ids, chain(most));
  }
  assert.deepEqual({ doubled, missing }, { doubled: 0, missing: 0 });
});

Deno.test("R14: With three peers that each fail 1 of 10 times, at any point, all of 2,000 requests complete", async () => {
  let state = 14;
  const random = () => (state = (state * 48_271) % 0x7fffffff) / 0x7fffffff;
  const most = 8;
  const fates = () =>
    Array.from(
      { length: 4_000 },
      (): Fate | undefined =>
        random() < 0.1
          ? { after: Math.floor(random() * (most + 2)), how: HOWS[Math.floor(random() * 3)] ?? "unavailable" }
          : undefined,
    );
  const peers = [0, 1, 2].map((index) => new ChainBackend(`p${index}`, { fates: fates() }));
  const { infer, steps } = chainScene({ peers });
  let complete = 0;
  for (let request = 0; request < 2_000; request++) {
    const { ids, error } = await readChain(infer({ parameters: { max_tokens: most } }));
    assert.deepEqual(ids, chain(ids.length));
    if (error === null) complete++;
  }
  assert.ok(complete >= 1_998, `${complete} of 2,000 were complete`);
  assert.ok(steps.filter(({ type }) => type === "failed").length > 100);
});

const HOWS: readonly Fate["how"][] = ["unavailable", "cut", "internal", "engine_failed", "silent"];
