import assert from "node:assert/strict";
import {
  cosign,
  cosignaturesOf,
  isSignedByLog,
  parseCheckpoint,
  signCheckpoint,
  type SignedCheckpoint,
} from "../../../src/audit/checkpoint.ts";
import { parseWitnessRequest, type WitnessRequest, witnessRequest } from "../../../src/audit/witness_request.ts";
import { identityOfSeed } from "../../transport/mesh_fixture.ts";
import { mutateText } from "../mutate.ts";
import { type FuzzTarget, refusedBy, shrinkText } from "../target.ts";

const [alice, bob, carol] = [identityOfSeed(1), identityOfSeed(2), identityOfSeed(3)];
const ROOTS = [7, 8].map((byte) => new Uint8Array(32).fill(byte));
const PLAIN = [
  signCheckpoint(alice, { size: 10_000, root: ROOTS[0] ?? new Uint8Array(32) }),
  signCheckpoint(alice, { size: 0, root: ROOTS[1] ?? new Uint8Array(32) }),
  signCheckpoint(bob, { size: Number.MAX_SAFE_INTEGER, root: ROOTS[0] ?? new Uint8Array(32) }),
];
const NOTES = [
  ...PLAIN,
  ...PLAIN.map((note) => {
    const read = parseCheckpoint(note);
    return `${note}${cosign(bob, read, 1_790_000_000)}\n${cosign(carol, read, 0)}\n`;
  }),
];
const BODIES = new Set(PLAIN.map((note) => parseCheckpoint(note).body));
/** What was cosigned: body, then line. */
const COSIGNED = new Set(
  NOTES.flatMap((note) => {
    const { body, signatures } = parseCheckpoint(note);
    return signatures.map(({ line }) => body + line);
  }),
);

/** A signed checkpoint, with or without cosignatures. */
export const checkpoint: FuzzTarget<string> = {
  name: "checkpoint",
  promise:
    "A note is refused with a SyntaxError, or is spelt in one way, and its signatures hold only for what was signed.",
  corpus: NOTES,
  covers: ["/src/audit/checkpoint.ts"],
  mutate: (random, note, other) => mutateText(random, note, other),
  check(note) {
    let read: SignedCheckpoint;
    try {
      read = parseCheckpoint(note);
    } catch (error) {
      return refusedBy(error, SyntaxError);
    }
    const { checkpoint: { log, size, root }, body, signatures } = read;
    assert.equal(`${body}\n${signatures.map(({ line }) => `${line}\n`).join("")}`, note);
    assert.equal(`ark-node/${log}\n${size}\n${root.toBase64()}\n`, body);
    assert.ok(Number.isSafeInteger(size) && size >= 0 && root.length === 32);
    if (isSignedByLog(read)) assert.ok(BODIES.has(body), "The log never signed this");
    for (const { line } of cosignaturesOf(read, signatures)) {
      assert.ok(COSIGNED.has(body + line), "Nobody cosigned this");
    }
    return true;
  },
  show: (note) => JSON.stringify(note),
  shrink: shrinkText,
};

/** What a log asks of a witness. */
export const witnessing: FuzzTarget<string> = {
  name: "witness_request",
  promise: "A request is refused with a SyntaxError, or is spelt in the one canonical way.",
  corpus: NOTES.flatMap((note, index) => [
    witnessRequest({ old: 0, proof: [], note }),
    witnessRequest({ old: 9_999, proof: ROOTS.slice(index % 2), note }),
  ]),
  covers: ["/src/audit/checkpoint.ts", "/src/audit/witness_request.ts"],
  mutate: (random, text, other) => mutateText(random, text, other),
  check(text) {
    let read: WitnessRequest;
    try {
      read = parseWitnessRequest(text);
    } catch (error) {
      return refusedBy(error, SyntaxError);
    }
    assert.equal(witnessRequest(read), text);
    assert.ok(read.proof.every((hash) => hash.length === 32));
    return true;
  },
  show: (text) => JSON.stringify(text),
  shrink: shrinkText,
};
