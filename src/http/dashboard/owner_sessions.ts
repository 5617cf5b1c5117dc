import { ArkError } from "@ark/node/protocol";
import { sameToken } from "../admin/admin_token.ts";

/** Times of {@linkcode OwnerSessions}, in milliseconds, for tests. */
export interface SessionTimes {
  /** How long a code can be exchanged. @default {300000} */
  codeMs?: number;
  /** How long a session lasts without being used. @default {43200000} */
  idleMs?: number;
}

const MOST_CODES = 8;
const MOST_SESSIONS = 32;

/**
 * The owner's browsers. A page never gets the admin token: the command line asks for a code that counts once and for
 * minutes, the page exchanges it for a token of its own, which ends with the node, with twelve hours of silence, or when
 * the owner logs out. All in memory.
 */
export class OwnerSessions {
  readonly #codeMs: number;
  readonly #idleMs: number;
  /** Codes, and when they end on the monotonic clock. */
  readonly #codes = new Map<string, number>();
  /** Tokens of sessions, and when they were used last. */
  readonly #used = new Map<string, number>();

  /** Begins without sessions. */
  constructor({ codeMs = 5 * 60_000, idleMs = 12 * 3_600_000 }: SessionTimes = {}) {
    this.#codeMs = codeMs;
    this.#idleMs = idleMs;
  }

  /** A new code of 22 characters; the oldest one ends when there are more than eight. */
  code(): string {
    const code = secret(16);
    this.#codes.set(code, performance.now() + this.#codeMs);
    trim(this.#codes, MOST_CODES);
    return code;
  }

  /**
   * Exchanges a code for the token of a session, 43 characters.
   *
   * @throws {ArkError} `unauthenticated` where the code is none, was used, or is over.
   */
  open(code: string): string {
    const now = performance.now();
    const known = [...this.#codes].find(([one]) => sameToken(code, one));
    if (known !== undefined) this.#codes.delete(known[0]);
    if (known === undefined || known[1] < now) {
      throw new ArkError(
        "unauthenticated",
        "This link was used already or is too old: 'ark-node ui' prints a new one",
      );
    }
    const token = secret(32);
    this.#used.set(token, now);
    trim(this.#used, MOST_SESSIONS);
    return token;
  }

  /** Whether a text is the token of a session that goes on; it then goes on for as long again. */
  holds(token: string): boolean {
    const now = performance.now();
    const known = [...this.#used].find(([one]) => sameToken(token, one));
    if (known === undefined) return false;
    const [found, usedAt] = known;
    this.#used.delete(found);
    if (now - usedAt > this.#idleMs) return false;
    this.#used.set(found, now);
    return true;
  }

  /** Ends a session. */
  end(token: string): void {
    for (const one of this.#used.keys()) if (sameToken(token, one)) this.#used.delete(one);
  }
}

function secret(bytes: number): string {
  return crypto.getRandomValues(new Uint8Array(bytes)).toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Removes what was added longest ago. */
function trim(map: Map<string, number>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return;
    map.delete(key);
  }
}
