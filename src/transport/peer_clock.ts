import type { Clock } from "./clock.ts";
import type { SignatureStamp } from "./signed_request.ts";

/** How long a peer's nonce is used: a little less than the peer accepts it. */
const NONCE_MS = 110_000;
/** Half of what the peer tolerates: smaller differences do not matter. */
const TOLERATED_MS = 30_000;

const NONCE_BYTES = 16;
/** Random bytes for the next nonces: each call for more costs as much as a thousand bytes do. */
const RANDOM = new Uint8Array(64 * NONCE_BYTES);
let drawn = RANDOM.length;

/** What is known of one peer's clock: how it differs from ours, and the nonce that it gave, if any. */
export class PeerClock {
  readonly #clock: Clock;
  #offsetMs = 0;
  #nonce: { text: string; until: number } | null = null;

  /** Assumes that the clocks agree. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How far the peer's clock is ahead of ours, as far as it matters and is known, in milliseconds. */
  get offsetMs(): number {
    return this.#offsetMs;
  }

  /** Makes the stamp for a new request. */
  stamp(): SignatureStamp {
    if (this.#nonce !== null && this.#clock.monotonicMs() >= this.#nonce.until) this.#nonce = null;
    const own = freshBytes().toBase64({ alphabet: "base64url", omitPadding: true });
    return {
      created: Math.max(0, Math.floor((this.#clock.wallMs() + this.#offsetMs) / 1_000)),
      nonce: this.#nonce === null ? own : `${this.#nonce.text}.${own}`,
    };
  }

  /** Learns from an answer `ark_clock`. False when it teaches nothing, so that asking again is useless. */
  learn(headers: Headers): boolean {
    const text = headers.get("ark-nonce");
    if (text === null || !/^[A-Za-z0-9_-]{27}$/.test(text)) return false;
    this.#nonce = { text, until: this.#clock.monotonicMs() + NONCE_MS };
    const theirs = Date.parse(headers.get("date") ?? "");
    const offset = theirs - this.#clock.wallMs();
    // When the nonce has run out, a corrected time saves asking for the next one.
    if (Number.isFinite(offset)) this.#offsetMs = Math.abs(offset) > TOLERATED_MS ? offset : 0;
    return true;
  }
}

/** 128 random bits that no other call gets. */
function freshBytes(): Uint8Array {
  if (drawn === RANDOM.length) {
    crypto.getRandomValues(RANDOM);
    drawn = 0;
  }
  return RANDOM.subarray(drawn, drawn += NONCE_BYTES);
}
