import { hashOfBase64, NOTE_LIMIT, parseCheckpoint, type SignedCheckpoint } from "./checkpoint.ts";
import { PROOF_LIMIT } from "./merkle_tree.ts";

/** What a log asks of a witness, as C2SP `tlog-witness` has it in `add-checkpoint`. */
export interface WitnessRequest {
  /** The size that the witness saw last, as far as the log knows; 0 for never. */
  old: number;
  /** That the log goes on from there. */
  proof: readonly Uint8Array[];
  /** The new checkpoint. */
  signed: SignedCheckpoint;
  /** The note as it came. */
  note: string;
}

const OLD_REGEXP = /^old (0|[1-9]\d{0,15})$/;

/** Longest request that is read, in characters. */
export const WITNESS_REQUEST_LIMIT: number = NOTE_LIMIT + 45 * PROOF_LIMIT + 64;

/** Writes a request. */
export function witnessRequest({ old, proof, note }: Omit<WitnessRequest, "signed">): string {
  return [`old ${old}`, ...proof.map((hash) => hash.toBase64()), "", note].join("\n");
}

/**
 * Reads a request. Strict: anything but the one spelling is refused.
 *
 * @throws {SyntaxError} that says what it is not.
 */
export function parseWitnessRequest(text: string): WitnessRequest {
  if (text.length > WITNESS_REQUEST_LIMIT) throw new SyntaxError("The request is too long");
  const end = text.indexOf("\n\n");
  if (end < 0) throw new SyntaxError("The request has no checkpoint");
  const [first = "", ...hashes] = text.slice(0, end).split("\n");
  const old = Number(OLD_REGEXP.exec(first)?.[1] ?? NaN);
  if (!Number.isSafeInteger(old)) throw new SyntaxError("The request does not begin with the old size");
  if (hashes.length > PROOF_LIMIT) throw new SyntaxError("The proof is too long");
  const proof = hashes.map(hashOfBase64);
  const note = text.slice(end + 2);
  return { old, proof, signed: parseCheckpoint(note), note };
}
