import { ArkError } from "./errors.ts";
import { label } from "./offer.ts";

/**
 * How one side of a pairing stands, as its own owner decided and as the other side is told.
 *
 * | side | the owner |
 * |---|---|
 * | `waiting` | has not compared the words yet |
 * | `matched` | said that both screens show the same words |
 * | `approved` | decided what the other node may do on this one |
 * | `different` | said that the words differ |
 * | `cancelled` | wants no pairing, or the time ran out |
 */
export const PAIRING_SIDES = ["waiting", "matched", "approved", "different", "cancelled"] as const;

/** One of {@linkcode PAIRING_SIDES}. */
export type PairingSide = typeof PAIRING_SIDES[number];

/**
 * What the node that began a pairing sends to `POST /ark/v1/pair`. Numbers are hexadecimal.
 *
 * | type | says | is answered by |
 * |---|---|---|
 * | `commit` | the hash of a random number and of both keys | a random number: {@linkcode PairingNonce} |
 * | `reveal` | the random number itself | {@linkcode PairingState} |
 * | `state` | how this side stands; repeated until the pairing is over | {@linkcode PairingState} |
 */
export type PairingMessage =
  | { type: "commit"; session: string; commitment: string }
  | { type: "reveal"; session: string; nonce: string }
  | ({ type: "state"; session: string } & PairingState);

/** How the side that speaks stands. */
export interface PairingState {
  /** What its owner decided. */
  state: PairingSide;
  /** Label of the node; told only after both owners said that the words match. */
  name?: string;
}

/** Answer to a commitment. */
export interface PairingNonce {
  /** 32 random bytes, hex. */
  nonce: string;
}

const SESSION = /^[0-9a-f]{32}$/;
const NUMBER = /^[0-9a-f]{64}$/;
const FIELDS: Record<PairingMessage["type"], readonly string[]> = {
  commit: ["type", "session", "commitment"],
  reveal: ["type", "session", "nonce"],
  state: ["type", "session", "state", "name"],
};

/**
 * Reads a {@linkcode PairingMessage} from any JSON value. Strict: unknown fields are refused.
 *
 * @throws {ArkError} `bad_request`
 */
export function decodePairingMessage(value: unknown): PairingMessage {
  const { type, session, commitment, nonce, ...rest } = fieldsOf(value, bad);
  if (type !== "commit" && type !== "reveal" && type !== "state") throw bad();
  if (Object.keys(value as object).some((name) => !FIELDS[type].includes(name))) throw bad();
  if (!matches(session, SESSION)) throw bad();
  if (type === "state") return { type, session, ...stateOf(rest, bad) };
  if (type === "commit" && matches(commitment, NUMBER)) return { type, session, commitment };
  if (type === "reveal" && matches(nonce, NUMBER)) return { type, session, nonce };
  throw bad();
}

/**
 * Reads the answer to a commitment; unknown fields are dropped.
 *
 * @throws {ArkError} `unavailable`
 */
export function decodePairingNonce(value: unknown): PairingNonce {
  const { nonce } = fieldsOf(value, malformed);
  if (!matches(nonce, NUMBER)) throw malformed();
  return { nonce };
}

/**
 * Reads how the other side stands; unknown fields are dropped.
 *
 * @throws {ArkError} `unavailable`
 */
export function decodePairingState(value: unknown): PairingState {
  return stateOf(fieldsOf(value, malformed), malformed);
}

function stateOf(fields: Record<string, unknown>, fault: () => ArkError): PairingState {
  const { state, name } = fields;
  const known = PAIRING_SIDES.find((one) => one === state);
  if (known === undefined || (name !== undefined && typeof name !== "string")) throw fault();
  const cleaned = label(name);
  return { state: known, ...(cleaned === "" ? {} : { name: cleaned }) };
}

function fieldsOf(value: unknown, fault: () => ArkError): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw fault();
  return value as Record<string, unknown>;
}

function matches(value: unknown, pattern: RegExp): value is string {
  return typeof value === "string" && pattern.test(value);
}

function bad(): ArkError {
  return new ArkError("bad_request", "This is no message of a pairing");
}

function malformed(): ArkError {
  return new ArkError("unavailable", "The other node sent an answer that is not part of a pairing");
}
