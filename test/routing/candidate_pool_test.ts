import assert from "node:assert/strict";
import fc from "fast-check";
import { type Candidate, CandidatePool, type Demand, estimateMs, rank } from "@ark/node/routing";

const DEMAND: Demand = { promptTokens: 1_024, answerTokens: 512 };

function candidate(key: string, fields: Partial<Candidate> = {}): Candidate {
  return {
    key,
    name: key,
    local: false,
    loaded: true,
    inFlight: 0,
    slots: 2,
    queued: 0,
    roundTripMs: 5,
    promptRate: 500,
    generationRate: 20,
    loadMs: 2_000,
    successRate: 1,
    ...fields,
  };
}

interface Change {
  readonly key: number;
  readonly rate: number | null;
  readonly inFlight: number;
}

const CHANGE: fc.Arbitrary<Change> = fc.record({
  key: fc.nat(30),
  rate: fc.option(fc.integer({ min: 1, max: 200 }), { freq: 4 }),
  inFlight: fc.nat(6),
});

Deno.test("CandidatePool.pick() finds the best of all, whatever was put in, changed and taken out before", () => {
  fc.assert(
    fc.property(fc.array(CHANGE, { maxLength: 120 }), fc.nat(20_000), fc.nat(2_000), (changes, prompt, answer) => {
      const pool = new CandidatePool<Candidate>({ sample: 31 });
      const known = new Map<string, Candidate>();
      for (const { key, rate, inFlight } of changes) {
        const name = `${key}`;
        if (rate === null) assert.equal(pool.delete(name), known.delete(name));
        else {
          const one = candidate(name, { generationRate: rate, inFlight });
          pool.set(one);
          known.set(name, one);
        }
      }
      assert.equal(pool.size, known.size);
      for (let key = 0; key <= 30; key++) assert.equal(pool.get(`${key}`), known.get(`${key}`));
      const demand = { promptTokens: prompt, answerTokens: answer, random: () => 0 };
      const picked = pool.pick(demand);
      assert.deepEqual(new Set(picked), new Set(known.values()));
      const times = rank([...known.values()], demand).map((one) => estimateMs(one, demand));
      assert.deepEqual(picked.map((one) => estimateMs(one, demand)).sort(), times.sort());
    }),
  );
});

Deno.test("CandidatePool.pick() chooses eight out of the best eighth of 20,000, and puts them in order", () => {
  let state = 1;
  const random = () => (state = state * 48_271 % 2_147_483_647) / 2_147_483_647;
  const typical = { promptTokens: 512, answerTokens: 256 };
  const pool = new CandidatePool<Candidate>({ random, typical });
  const all = Array.from({ length: 20_000 }, (_, index) =>
    candidate(`${index}`, {
      generationRate: 5 * 10 ** random(),
      promptRate: 100 * 10 ** random(),
      inFlight: Math.floor(random() * 4),
      successRate: 0.5 + random() / 2,
    }));
  for (const one of all) pool.set(one);
  const first = new Set<string>();
  for (const promptTokens of [128, 1_024, 8_192]) {
    const demand = { promptTokens, answerTokens: 512, typical };
    const times = all.map((one) => estimateMs(one, demand)).sort((a, b) => a - b);
    for (let round = 0; round < 40; round++) {
      const picked = pool.pick(demand);
      assert.equal(new Set(picked).size, 8);
      // A bucket is 4 % wide, and the last one is taken whole.
      for (const one of picked) assert.ok(estimateMs(one, demand) <= 1.05 * (times[2_400] ?? 0));
      const [best = Infinity, ...others] = picked.map((one) => estimateMs(one, demand));
      assert.ok(others.every((ms) => best <= 1.101 * ms));
      first.add(picked[0]?.key ?? "");
    }
  }
  assert.ok(first.size > 80, `${first.size}`);
});

Deno.test("CandidatePool.pick() always looks at whom it is told, and never at whom it may not", () => {
  const pool = new CandidatePool<Candidate>();
  for (let index = 0; index < 1_000; index++) pool.set(candidate(`${index}`, { generationRate: 10 + index }));
  pool.set(candidate("local", { local: true, generationRate: 5 }));
  assert.ok(!pool.pick(DEMAND).some(({ key }) => key === "local"));
  const also = pool.pick(DEMAND, { also: ["local", "unknown"] });
  assert.equal(also.at(-1)?.key, "local");
  assert.equal(also.length, 9);
  const warm = { ...DEMAND, promptTokens: 8_000, cachedTokens: (key: string) => key === "300" ? 7_936 : 0 };
  const among = pool.pick(warm, { also: ["300"], permits: ({ key }) => Number(key) < 980 });
  assert.ok(among.every(({ key }) => Number(key) < 980));
  assert.ok(among.some(({ key }) => key === "300"));
});

Deno.test("CandidatePool.pick() does not choose the same one always where many are alike", () => {
  const pool = new CandidatePool<Candidate>();
  for (let index = 0; index < 1_000; index++) pool.set(candidate(`${index}`));
  const firsts = new Set(Array.from({ length: 200 }, () => pool.pick(DEMAND)[0]?.key));
  assert.ok(firsts.size > 100, `${firsts.size}`);
});
