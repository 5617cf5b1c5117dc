import assert from "node:assert/strict";
import { fuzz } from "./fuzz.ts";
import { mutateBytes } from "./mutate.ts";
import { Random } from "./random.ts";
import { type FuzzTarget, shrinkBytes } from "./target.ts";
import { TARGETS } from "./targets/mod.ts";

const INPUTS = 3_000;
const GUIDED = 400;
/** Another one every day, and the same for whoever repeats a run of today. */
const SEED = Math.floor(Date.now() / 86_400_000);

for (const target of TARGETS) {
  Deno.test(`Fuzzing ${target.name}: ${target.promise}`, async () => {
    const { cost = 1 } = target;
    const options = { inputs: INPUTS / cost, guided: GUIDED / cost, seed: SEED };
    const { accepted, inputs } = await fuzz(target, options);
    assert.equal(inputs, options.inputs);
    assert.ok(accepted >= target.corpus.length, "What is valid is accepted");
    assert.ok(accepted < inputs, "What is not valid is refused");
  });
}

/** Accepts what has no 0xff behind a zero; only coverage finds the way there soon. */
const fragile: FuzzTarget<Uint8Array> = {
  name: "fragile",
  promise: "It holds.",
  corpus: [Uint8Array.from([1, 2, 3, 4])],
  covers: ["fuzz_test.ts"],
  mutate: (random, bytes, other) => mutateBytes(random, bytes, other),
  check: (bytes) => {
    assert.ok(!bytes.some((byte, index) => byte === 0 && bytes[index + 1] === 0xff));
    return true;
  },
  show: (bytes) => `<${[...bytes]}>`,
  shrink: shrinkBytes,
};

Deno.test("fuzz() finds what is broken, makes it small, and says how to see it again", async () => {
  const failed = await fuzz(fragile, { inputs: 200_000, guided: 200, seed: 1 }).catch((error: Error) => error);
  assert.ok(failed instanceof Error);
  assert.match(failed.message, /^Target fragile, seed 1, input \d+: It holds\.\n<0,255>$/);
  const again = await fuzz(fragile, { inputs: 200_000, guided: 200, seed: 1 }).catch((error: Error) => error);
  assert.equal((again as Error).message, failed.message);
});

Deno.test("Random gives the same numbers for the same seed, and spreads them", () => {
  const [one, same, other] = [new Random(7), new Random(7), new Random(8)];
  const draw = (random: Random) => Array.from({ length: 50 }, () => random.below(10));
  const drawn = draw(one);
  assert.deepEqual(draw(same), drawn);
  assert.notDeepEqual(draw(other), drawn);
  assert.equal(new Set(drawn).size, 10);
});
