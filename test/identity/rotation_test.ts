import assert from "node:assert/strict";
import fc from "fast-check";
import {
  decodeRotations,
  generateIdentity,
  type Identity,
  MOST_ROTATIONS,
  rotationBytes,
  rotationHash,
  type SignedRotation,
  signRotation,
} from "@ark/node/identity";

const CREATED = "2026-11-21T08:00:00.000Z";

/** A chain of so many rotations. */
function chainOf(count: number): { chain: SignedRotation[]; keys: Identity[] } {
  const keys = Array.from({ length: count + 1 }, () => generateIdentity());
  const chain: SignedRotation[] = [];
  for (const [index, next] of keys.slice(1).entries()) {
    const old = keys[index] ?? assert.fail();
    chain.push(signRotation({ old, new: next }, { seq: index + 1, created: CREATED }));
  }
  return { chain, keys };
}

Deno.test("rotationBytes() has a domain of its own and the fields in one order", () => {
  const { chain: [one = assert.fail()] } = chainOf(1);
  assert.equal(
    new TextDecoder().decode(rotationBytes(one)),
    `ark-rotate/1\n{"old":"${one.old}","new":"${one.new}","seq":1,"created":"${CREATED}"}`,
  );
  assert.match(rotationHash(one), /^[0-9a-f]{64}$/);
});

Deno.test("decodeRotations() reads what signRotation() makes, up to a chain of 16", () => {
  for (const count of [1, 2, MOST_ROTATIONS]) {
    const { chain } = chainOf(count);
    const text = JSON.stringify({ rotations: chain });
    assert.deepEqual(decodeRotations(JSON.parse(text)), chain);
    // A chain of any length fits into the body of an introduction.
    assert.ok(text.length < 8 << 10, String(text.length));
  }
  const { chain } = chainOf(MOST_ROTATIONS + 1);
  assert.throws(() => decodeRotations({ rotations: chain }), /1 to 16/);
  assert.throws(() => decodeRotations({ rotations: [] }), /1 to 16/);
});

Deno.test("decodeRotations() takes nothing that is not by the letter, or not signed by both keys", () => {
  const { chain, keys } = chainOf(2);
  const [one = assert.fail(), two = assert.fail()] = chain;
  const [k0 = assert.fail(), k1 = assert.fail(), k2 = assert.fail()] = keys;
  const zero = "a".repeat(56);
  const sign = (old: Identity, next: Identity, seq: number) =>
    signRotation({ old, new: next }, { seq, created: CREATED });
  const bad: Record<string, unknown> = {
    nothing: null,
    "a list": [one],
    "a field more": { rotations: [one], x: 1 },
    "a field more inside": { rotations: [{ ...one, x: 1 }] },
    "a field less": { rotations: [{ ...one, created: undefined }] },
    "an id with groups": { rotations: [{ ...one, old: one.old.toUpperCase() }] },
    "an id with wrong check characters": {
      rotations: [{ ...one, new: one.new.slice(0, 55) + (one.new[55] === "a" ? "b" : "a") }],
    },
    "a weak key": { rotations: [{ ...one, new: zero }] },
    "no number": { rotations: [{ ...one, seq: "1" }] },
    "number 0": { rotations: [sign(k0, k1, 0)] },
    "a fraction": { rotations: [sign(k0, k1, 1.5)] },
    "too large a number": { rotations: [sign(k0, k1, 2 ** 31)] },
    "another time": { rotations: [signRotation({ old: k0, new: k1 }, { seq: 1, created: "yesterday" })] },
    "a time that is none": {
      rotations: [signRotation({ old: k0, new: k1 }, { seq: 1, created: "2026-13-41T08:00:00.000Z" })],
    },
    "the key of before": { rotations: [sign(k0, k0, 1)] },
    "a circle": { rotations: [one, two, sign(k2, k0, 3)] },
    "a gap": { rotations: [one, sign(k2, generateIdentity(), 2)] },
    "a number that does not rise": { rotations: [one, sign(k1, k2, 1)] },
    "the wrong order": { rotations: [two, one] },
    "no signature of the old key": { rotations: [{ ...one, old_signature: one.new_signature }] },
    "no signature of the new key": { rotations: [{ ...one, new_signature: one.old_signature }] },
    "another number than was signed": { rotations: [{ ...one, seq: 7 }] },
    "another time than was signed": { rotations: [{ ...one, created: "2026-11-21T08:00:00.001Z" }] },
    "another new key than was signed": { rotations: [{ ...one, new: k2.id }] },
    "a signature with unused bits": { rotations: [{ ...one, old_signature: one.old_signature.slice(0, 85) + "B==" }] },
    "a bad second one": { rotations: [one, { ...two, new_signature: one.new_signature }] },
  };
  for (const [what, value] of Object.entries(bad)) {
    assert.throws(() => decodeRotations(value), { name: "SyntaxError", message: /^Cannot (read|accept) a / }, what);
  }
});

Deno.test("decodeRotations() never takes what was changed, and never throws anything but a SyntaxError", () => {
  const { chain } = chainOf(2);
  const source = JSON.stringify({ rotations: chain });
  const runs = Deno.env.get("ARK_LONG") === "1" ? 1_000_000 : 3_000;
  const changed = fc.tuple(
    fc.nat(source.length - 1),
    fc.oneof(fc.string({ maxLength: 3 }), fc.constantFrom("0", '"', "}")),
  )
    .map(([at, text]): unknown => {
      try {
        return JSON.parse(source.slice(0, at) + text + source.slice(at + 1));
      } catch {
        return undefined;
      }
    });
  const value = fc.oneof(changed, fc.jsonValue(), fc.anything().map((rotations) => ({ rotations })));
  fc.assert(
    fc.property(value, (value) => {
      if (JSON.stringify(value) === source) return;
      assert.throws(() => decodeRotations(value), SyntaxError);
    }),
    { numRuns: runs },
  );
});
