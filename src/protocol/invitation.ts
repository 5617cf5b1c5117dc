import { type NodeId, publicKeyOf } from "@ark/node/identity";
import { ArkError, reasonOf } from "./errors.ts";
import { label } from "./offer.ts";

/** What an invitation says: who invites, where it may be reached, and a secret that counts once. */
export interface Invitation {
  /** Who invites. Whoever accepts talks to this key and to no other. */
  inviter: NodeId;
  /** Where it may be dialled, as `host:port`; hints, at most 8. */
  hints: string[];
  /** 16 random bytes. */
  secret: Uint8Array<ArrayBuffer>;
}

/** What whoever accepts an invitation sends to `POST /ark/v1/invite`; the secret itself stays where it is. */
export interface InvitationProof {
  /** Public key that is made out of the secret, hex: what the inviter knows the invitation by. */
  invitation: string;
  /** Signature by that key over both nodes' keys, hex. */
  proof: string;
  /** Label of the node that accepts. */
  name: string;
}

/** What the inviter answers. */
export interface InvitationAnswer {
  /** Its label. */
  name: string;
}

const MOST_HINTS = 8;
const LONGEST_LINK = 1_024;
const LINK = /^ark:1:([a-z2-7]{56}):([^\s]{0,800}):([A-Za-z0-9_-]{22})$/;
const HINT = /^(?:\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253}):([1-9]\d{0,4})$/;

/** Writes an invitation as one line that can be sent in a message or shown as a QR code. */
export function formatInvitation({ inviter, hints, secret }: Invitation): string {
  return `ark:1:${inviter}:${hints.join(",")}:${secret.toBase64({ alphabet: "base64url", omitPadding: true })}`;
}

/**
 * Reads an invitation. White space is ignored wherever it is, since messages are wrapped.
 *
 * @throws {SyntaxError} with a sentence that says what is wrong. It never repeats the secret.
 */
export function parseInvitation(text: string): Invitation {
  if (text.length > LONGEST_LINK) throw new SyntaxError(`An invitation has at most ${LONGEST_LINK} characters`);
  const [, inviter = "", hintList = "", secretText = ""] = LINK.exec(text.replaceAll(/\s/g, "")) ?? [];
  if (inviter === "") {
    throw new SyntaxError("This is no invitation, or not all of it: it begins with ark:1: and ends with 22 characters");
  }
  try {
    publicKeyOf(inviter);
  } catch (error) {
    throw new SyntaxError(`The invitation was damaged on its way, ask for a new one: ${reasonOf(error)}`);
  }
  const hints = hintList === "" ? [] : hintList.split(",");
  if (hints.length > MOST_HINTS || !hints.every(isHint)) {
    throw new SyntaxError("The invitation names an address that cannot be dialled: ask for a new one");
  }
  const secret = Uint8Array.fromBase64(secretText, { alphabet: "base64url", lastChunkHandling: "loose" });
  // The unused bits of the last character must be zero, or one secret would have several spellings.
  if (secret.toBase64({ alphabet: "base64url", omitPadding: true }) !== secretText) {
    throw new SyntaxError("The invitation was damaged on its way, ask for a new one: its last character is wrong");
  }
  return { inviter, hints, secret };
}

/** Whether a text is an address as an invitation may name it: lower case, `host:port`, IPv6 in brackets. */
export function isHint(text: string): boolean {
  const port = HINT.exec(text)?.[1];
  return port !== undefined && Number(port) <= 65_535;
}

/**
 * Reads an {@linkcode InvitationProof} from any JSON value. Strict: unknown fields are refused.
 *
 * @throws {ArkError} `bad_request`
 */
export function decodeInvitationProof(value: unknown): InvitationProof {
  const fields = typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
  const { invitation, proof, name, ...others } = fields as Record<string, unknown>;
  const known = typeof invitation === "string" && /^[0-9a-f]{64}$/.test(invitation) &&
    typeof proof === "string" && /^[0-9a-f]{128}$/.test(proof) && typeof name === "string";
  if (!known || Object.keys(others).length > 0) {
    throw new ArkError("bad_request", "This is no answer to an invitation");
  }
  return { invitation, proof, name: label(name) };
}

/**
 * Reads what the inviter answered; unknown fields are dropped.
 *
 * @throws {ArkError} `unavailable`
 */
export function decodeInvitationAnswer(value: unknown): InvitationAnswer {
  const name = typeof value === "object" && value !== null ? (value as { name?: unknown }).name : undefined;
  if (typeof name !== "string") {
    throw new ArkError("unavailable", "The node that invites sent an answer that is not part of the protocol");
  }
  return { name: label(name) };
}
