import assert from "node:assert/strict";
import { decodeRotations, type SignedRotation, signRotation } from "@ark/node/identity";
import { identityOfSeed } from "../../transport/mesh_fixture.ts";
import { mutateJson } from "../mutate.ts";
import { type FuzzTarget, refusedBy } from "../target.ts";

const created = "2026-11-21T12:00:00.000Z";
const [a, b, c, d] = [1, 2, 3, 4].map(identityOfSeed) as [Id, Id, Id, Id];
type Id = ReturnType<typeof identityOfSeed>;
const ALL = [
  signRotation({ old: a, new: b }, { seq: 1, created }),
  signRotation({ old: b, new: c }, { seq: 2, created }),
  signRotation({ old: c, new: d }, { seq: 2_147_483_647, created }),
  signRotation({ old: a, new: c }, { seq: 3, created }),
];
const SIGNED = new Set(ALL.map((rotation) => JSON.stringify(rotation)));
const CORPUS: { rotations: SignedRotation[] }[] = [ALL.slice(0, 1), ALL.slice(0, 2), ALL.slice(0, 3), ALL.slice(3)].map(
  (rotations) => ({ rotations }),
);

/** A chain of statements that a node has another key. */
export const rotation: FuzzTarget<unknown> = {
  name: "rotation",
  promise:
    "A chain is refused with a SyntaxError, or is made of statements that both keys signed, each behind the other.",
  corpus: CORPUS,
  covers: ["/src/identity/"],
  mutate(random, value, other) {
    const lists = [value, other].map((one) => (one as { rotations?: unknown } | null)?.rotations);
    if (random.once(4) && lists.every(Array.isArray)) return { rotations: lists.flat() };
    return mutateJson(random, value, [...Object.keys(ALL[0] ?? {}), "rotations", "__proto__"]);
  },
  check(value) {
    let chain: SignedRotation[];
    try {
      chain = decodeRotations(value);
    } catch (error) {
      return refusedBy(error, SyntaxError);
    }
    for (const [index, one] of chain.entries()) {
      assert.ok(SIGNED.has(JSON.stringify(one)), "Nobody signed this");
      if (index > 0) assert.equal(chain[index - 1]?.new, one.old);
    }
    assert.deepEqual({ rotations: chain }, value);
    return true;
  },
  show: (value) => JSON.stringify(value) ?? String(value),
};
