import assert from "node:assert/strict";
import { createHash, createPublicKey, verify as verifyEd25519 } from "node:crypto";
import fc from "fast-check";
import { generateIdentity } from "@ark/node/identity";
import {
  cosign,
  cosignaturesOf,
  isSignedByLog,
  parseCheckpoint,
  parseSignatures,
  signCheckpoint,
} from "../../src/audit/checkpoint.ts";
import { leafHash, PROOF_LIMIT } from "../../src/audit/merkle_tree.ts";
import { parseWitnessRequest, witnessRequest } from "../../src/audit/witness_request.ts";

const log = generateIdentity();
const witness = generateIdentity();
const root = leafHash(new Uint8Array());

function spki(key: Uint8Array) {
  const der = Uint8Array.of(...Uint8Array.fromHex("302a300506032b6570032100"), ...key);
  return createPublicKey({ key: der as never, format: "der", type: "spki" });
}

Deno.test("signCheckpoint() writes a C2SP signed note that another reader of the format verifies", () => {
  const note = signCheckpoint(log, { size: 300, root });
  const [origin, size, hash, empty, line, rest] = note.split("\n");
  assert.deepEqual([origin, size, hash, empty, rest], [`ark-node/${log.id}`, "300", root.toBase64(), "", ""]);
  const [dash, name, encoded = ""] = (line ?? "").split(" ");
  assert.deepEqual([dash, name], ["—", origin]);
  const bytes = Uint8Array.fromBase64(encoded);
  const keyId = createHash("sha256").update(`${origin}\n\x01`).update(log.publicKey).digest().subarray(0, 4);
  assert.equal(bytes.subarray(0, 4).toHex(), keyId.toString("hex"));
  const body = new TextEncoder().encode(`${origin}\n${size}\n${hash}\n`);
  assert.ok(verifyEd25519(null, body, spki(log.publicKey), bytes.subarray(4)));
});

Deno.test("cosign() writes a C2SP cosignature/v1 line that another reader of the format verifies", () => {
  const signed = parseCheckpoint(signCheckpoint(log, { size: 300, root }));
  const [, name, encoded = ""] = cosign(witness, signed, 1_679_315_147).split(" ");
  assert.equal(name, `ark-node/${witness.id}`);
  const bytes = Uint8Array.fromBase64(encoded);
  const keyId = createHash("sha256").update(`${name}\n\x04`).update(witness.publicKey).digest().subarray(0, 4);
  assert.equal(bytes.subarray(0, 4).toHex(), keyId.toString("hex"));
  assert.equal(new DataView(bytes.buffer).getBigUint64(4), 1_679_315_147n);
  const message = new TextEncoder().encode(`cosignature/v1\ntime 1679315147\n${signed.body}`);
  assert.ok(verifyEd25519(null, message, spki(witness.publicKey), bytes.subarray(12)));
});

Deno.test("parseCheckpoint() reads what was signed, and cosignatures behind it", () => {
  const note = signCheckpoint(log, { size: 7, root });
  const signed = parseCheckpoint(note);
  assert.deepEqual(signed.checkpoint, { log: log.id, size: 7, root });
  assert.ok(isSignedByLog(signed));
  const both = parseCheckpoint(note + cosign(witness, signed, 5) + "\n");
  assert.ok(isSignedByLog(both));
  assert.deepEqual(cosignaturesOf(both, both.signatures).map(({ witness, time }) => [witness, time]), [[
    witness.id,
    5,
  ]]);
  // A cosignature is no signature of the log, and the other way round.
  assert.ok(!isSignedByLog({ ...both, signatures: both.signatures.slice(1) }));
  assert.deepEqual(cosignaturesOf(signed, signed.signatures), []);
  // Over another checkpoint it says nothing.
  const other = parseCheckpoint(signCheckpoint(log, { size: 8, root }));
  assert.deepEqual(cosignaturesOf(other, both.signatures), []);
});

Deno.test("A checkpoint with any one character changed is refused or not signed", () => {
  const note = signCheckpoint(log, { size: 4_711, root });
  for (let index = 0; index < note.length; index++) {
    for (const character of ["0", "A", "\n", " ", ""]) {
      const changed = note.slice(0, index) + character + note.slice(index + 1);
      if (changed === note) continue;
      let accepted = false;
      try {
        accepted = isSignedByLog(parseCheckpoint(changed));
      } catch (error) {
        assert.ok(error instanceof SyntaxError, `${index}: ${error}`);
      }
      assert.ok(!accepted, `${index} ${JSON.stringify(character)}`);
    }
  }
});

Deno.test("parseCheckpoint() refuses other spellings", () => {
  const note = signCheckpoint(log, { size: 10, root });
  const wrong = [
    "",
    "\n\n",
    note.replace("\n10\n", "\n010\n"),
    note.replace("\n10\n", "\n9007199254740993\n"),
    note.replace("\n10\n", "\n-1\n"),
    note.replace("\n\n", "\nan extension\n\n"),
    note.replace("ark-node/", "example.com/"),
    note.slice(0, -1),
    note + "\n",
    note.replaceAll("\n", "\r\n"),
    note + "— ark-node/short AAAA\n",
    note + "x".repeat(20_000),
  ];
  for (const text of wrong) assert.throws(() => parseCheckpoint(text), SyntaxError, text);
});

Deno.test("parseWitnessRequest() reads back what witnessRequest() writes, and refuses the rest", () => {
  const note = signCheckpoint(log, { size: 10, root });
  for (const proof of [[], [root], Array.from({ length: PROOF_LIMIT }, () => root)]) {
    const request = parseWitnessRequest(witnessRequest({ old: 3, proof, note }));
    assert.deepEqual({ old: request.old, proof: request.proof, note: request.note }, { old: 3, proof, note });
    assert.equal(request.signed.checkpoint.size, 10);
  }
  const good = witnessRequest({ old: 3, proof: [root], note });
  const wrong = [
    "",
    note,
    good.replace("old 3", "old 03"),
    good.replace("old 3", "old -3"),
    good.replace("old 3", "OLD 3"),
    good.replace("old 3", "old 3 "),
    good.replace(root.toBase64(), root.toBase64().slice(4)),
    good.replace(root.toBase64(), ""),
    witnessRequest({ old: 3, proof: Array.from({ length: PROOF_LIMIT + 1 }, () => root), note }),
  ];
  for (const text of wrong) assert.throws(() => parseWitnessRequest(text), SyntaxError, text);
});

Deno.test("The readers of checkpoints, signatures and witness requests throw nothing but SyntaxError", () => {
  const note = signCheckpoint(log, { size: 10, root });
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.tuple(fc.nat(note.length), fc.string({ maxLength: 5 })).map(([at, put]) =>
      note.slice(0, at) + put + note.slice(at)
    ),
    fc.nat(note.length).map((end) => `old 0\n\n${note.slice(0, end)}`),
  );
  fc.assert(
    fc.property(text, (text) => {
      for (const read of [parseCheckpoint, parseSignatures, parseWitnessRequest]) {
        try {
          read(text);
        } catch (error) {
          assert.ok(error instanceof SyntaxError, String(error));
        }
      }
    }),
    { numRuns: 300 },
  );
});
