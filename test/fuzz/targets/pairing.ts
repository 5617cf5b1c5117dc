import assert from "node:assert/strict";
import {
  ArkError,
  decodeInvitationProof,
  decodePairingMessage,
  decodePairingNonce,
  decodePairingState,
  formatInvitation,
  type Invitation,
  type InvitationProof,
  isHint,
  type PairingMessage,
  parseInvitation,
} from "@ark/node/protocol";
import { identityOfSeed } from "../../transport/mesh_fixture.ts";
import { mutateJson, mutateText } from "../mutate.ts";
import { type FuzzTarget, refusedBy, shrinkText } from "../target.ts";

const session = "0f".repeat(16);
const MESSAGES = [
  { type: "commit", session, commitment: "ab".repeat(32) },
  { type: "reveal", session, nonce: "cd".repeat(32) },
  { type: "state", session, state: "approved", name: "Dave's Ark" },
  { type: "state", session, state: "waiting" },
];
const NAMES = [
  "type",
  "session",
  "commitment",
  "nonce",
  "state",
  "name",
  "__proto__",
  "permissions",
  "invitation",
  "proof",
];
const CLEAN = /^[^\p{C}\p{Zl}\p{Zp}]*$/u;

/** Fails where a name that another node chose is not clean. */
function isClean(name: string | undefined): void {
  assert.ok(name === undefined || (CLEAN.test(name) && [...name].length <= 64), "The name is not clean");
}

/** What the answers to pairing messages come to: either is read or unavailable. */
function answersAreTotal(value: unknown): void {
  for (const decode of [decodePairingNonce, decodePairingState]) {
    try {
      const read = decode(value);
      if ("state" in read) isClean(read.name);
    } catch (error) {
      assert.ok(!(error instanceof ArkError) || error.code === "unavailable");
      refusedBy(error, ArkError);
    }
  }
}

/** A message of a pairing. */
export const pairingMessage: FuzzTarget<unknown> = {
  name: "pairing_message",
  promise: "A message is refused as a bad request, or is what was sent, with nothing beside it and a clean name.",
  corpus: MESSAGES,
  covers: ["/src/protocol/"],
  mutate: (random, value) => mutateJson(random, value, NAMES),
  check(value) {
    answersAreTotal(value);
    let read: PairingMessage;
    try {
      read = decodePairingMessage(value);
    } catch (error) {
      assert.ok(!(error instanceof ArkError) || error.code === "bad_request");
      return refusedBy(error, ArkError);
    }
    const { name: _given, ...sent } = value as Record<string, unknown>;
    const { name, ...rest } = { name: undefined, ...read };
    isClean(name);
    assert.deepEqual(rest, sent);
    assert.deepEqual(decodePairingMessage(JSON.parse(JSON.stringify(read))), read);
    return true;
  },
  show: (value) => JSON.stringify(value) ?? String(value),
};

const LINKS = [[], ["192.168.1.7:8911"], ["[fd00::7]:8911", "ark.example:65535", "10.0.0.1:1"]].map((hints, index) =>
  formatInvitation({ inviter: identityOfSeed(index + 1).id, hints, secret: new Uint8Array(16).fill(index * 85) })
);

/** An invitation as one line. */
export const invite: FuzzTarget<string> = {
  name: "invite",
  promise: "A line is refused with a SyntaxError that keeps the secret, or is spelt in the one way, white space aside.",
  corpus: [...LINKS, ...LINKS.map((link) => link.replace(/.{40}/g, "$&\r\n "))],
  covers: ["/src/protocol/", "/src/identity/"],
  mutate: (random, link, other) => mutateText(random, link, other),
  check(link) {
    let read: Invitation;
    try {
      read = parseInvitation(link);
    } catch (error) {
      const secret = /[A-Za-z0-9_-]{20,22}$/.exec(link)?.[0];
      assert.ok(secret === undefined || !(error instanceof Error) || !error.message.includes(secret));
      return refusedBy(error, SyntaxError);
    }
    assert.equal(formatInvitation(read), link.replaceAll(/\s/g, ""));
    assert.equal(read.secret.length, 16);
    assert.ok(read.hints.length <= 8 && read.hints.every(isHint));
    return true;
  },
  show: (link) => JSON.stringify(link),
  shrink: shrinkText,
};

/** What whoever accepts an invitation sends. */
export const invitationProof: FuzzTarget<unknown> = {
  name: "invitation_proof",
  promise: "A proof is refused as a bad request, or is what was sent, with nothing beside it and a clean name.",
  corpus: [{ invitation: "ab".repeat(32), proof: "cd".repeat(64), name: "Mom's Ark" }],
  covers: ["/src/protocol/"],
  mutate: (random, value) => mutateJson(random, value, NAMES),
  check(value) {
    let read: InvitationProof;
    try {
      read = decodeInvitationProof(value);
    } catch (error) {
      assert.ok(!(error instanceof ArkError) || error.code === "bad_request");
      return refusedBy(error, ArkError);
    }
    isClean(read.name);
    assert.deepEqual({ ...read, name: "" }, { ...(value as object), name: "" });
    return true;
  },
  show: (value) => JSON.stringify(value) ?? String(value),
};
