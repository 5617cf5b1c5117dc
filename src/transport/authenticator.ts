import { type Identity, type NodeId, publicKeyIn, verify } from "@ark/node/identity";
import { baseBytes, contentDigest, signatureHash } from "./message_signature.ts";
import { ownCopy } from "./own_copy.ts";
import type { RefusalCode } from "./refusal.ts";
import type { ReplayWindow } from "./replay_window.ts";
import { parseSignedHead, type SignedHead } from "./signed_request.ts";

/** How a key stands with the owner of this node. */
export type Standing = "approved" | "unknown" | "revoked";

/** A head whose signature was verified. */
export interface ProvenHead extends SignedHead {
  /** The signer's key, 32 bytes. */
  key: Uint8Array<ArrayBuffer>;
  /** SHA-256 of the signature, hex. */
  hash: string;
}

/** What came of the checks. `head` is null unless the signature was verified. */
export type Verdict =
  | { outcome: "accepted"; head: ProvenHead; introduction: boolean }
  | {
    outcome: "refused";
    code: RefusalCode;
    head: ProvenHead | null;
    standing: Standing;
    /** What the caller may sign with instead of its clock, where that was the reason. */
    nonce?: string;
  };

/** Options of {@linkcode Authenticator}. */
export interface AuthenticatorOptions {
  /** This node, which a request must name as its receiver. */
  identity: Identity;
  /** How a key stands with the owner now. */
  standing(id: NodeId): Standing;
  /** Remembers what was accepted. */
  replays: ReplayWindow;
  /** Largest body, in bytes. */
  bodyBytes: number;
  /** Where every proven key is heard, approved or not; absent for nowhere. */
  introductions?: IntroductionRules;
}

/** How keys that nobody approved may be heard. */
export interface IntroductionRules {
  /** Paths, without a query. */
  paths: ReadonlySet<string>;
  /** Largest body, in bytes. */
  bodyBytes: number;
  /** Remembers what was accepted. */
  replays: ReplayWindow;
}

type Refused = Extract<Verdict, { outcome: "refused" }>;

/** The same few peers ask all day. */
const MOST_KEYS = 1_024;

const EMPTY_DIGEST = contentDigest(new Uint8Array(0));

/**
 * Decides from the head of a request alone who sent it and whether it may go on.
 *
 * In this order: grammar, receiver, signature, standing, size, freshness. Whatever is wrong before the signature is
 * verified, and a valid signature of an unknown key, ends in the same `unauthenticated`; every id costs the same work, so
 * that nobody can find out who is approved. Only the holder of a known key learns more. On the paths of introductions
 * the standing plays no part, so that nothing can be learnt there either.
 */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  /** Keys by their ids: only of those that have signed, so that nobody can push out others by naming ids. */
  readonly #keys = new Map<NodeId, { id: NodeId; key: Uint8Array<ArrayBuffer> }>();

  /** Makes an authenticator of one node. */
  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** Checks a head. An accepted one is noted, so that it is not accepted again. */
  check(raw: { method: string; target: string; rawHeaders: readonly string[] }): Verdict {
    const { identity, standing, introductions } = this.#options;
    const head = parseSignedHead(raw);
    if (head === null || head.to !== identity.id) return UNAUTHENTICATED;
    const signed = this.#keys.get(head.keyId);
    const key = signed?.key ?? publicKeyIn(head.keyId);
    // An id without a key is verified against our own, which takes as long and always fails.
    const valid = verify(key ?? identity.publicKey, baseBytes(head.base), head.signature);
    if (!valid || key === null) {
      // So that nobody can tell from the time whether an id has signed here before.
      if (signed !== undefined) publicKeyIn(head.keyId);
      return UNAUTHENTICATED;
    }
    // From here on one text stands for the key, which holds nothing but itself in memory.
    const { id } = signed ?? this.#remember(ownCopy(head.keyId), key);
    const proven: ProvenHead = { ...head, keyId: id, key, hash: signatureHash(head.signature) };
    const known = standing(id);
    const refuse = (code: RefusalCode): Refused => ({ outcome: "refused", code, head: proven, standing: known });
    const introduction = introductions?.paths.has(head.target.split("?", 1)[0] ?? "") ? introductions : null;
    if (introduction === null && known === "unknown") return refuse("unauthenticated");
    if (introduction === null && known === "revoked") return refuse("revoked");
    const { bodyBytes, replays } = introduction ?? this.#options;
    if (head.contentLength > bodyBytes) return refuse("too_large");
    if (head.contentLength === 0 && head.contentDigest !== EMPTY_DIGEST) return refuse("bad_request");
    if (head.method === "GET" && head.contentLength > 0) return refuse("bad_request");
    const stamp = replays.judge(id, head);
    if (stamp === "fresh") return { outcome: "accepted", head: proven, introduction: introduction !== null };
    return stamp === "clock" ? { ...refuse(stamp), nonce: replays.issue(id) } : refuse(stamp);
  }

  #remember(id: NodeId, key: Uint8Array<ArrayBuffer>): { id: NodeId; key: Uint8Array<ArrayBuffer> } {
    const known = { id, key };
    this.#keys.set(id, known);
    const oldest = this.#keys.keys().next().value;
    if (this.#keys.size > MOST_KEYS && oldest !== undefined) this.#keys.delete(oldest);
    return known;
  }
}

const UNAUTHENTICATED: Verdict = { outcome: "refused", code: "unauthenticated", head: null, standing: "unknown" };
