import type { Charge } from "@ark/node/peers";
import { ALIVE_FRAME, encodeEventFrames, type InferenceEvent, StreamHash, tokensOf } from "@ark/node/protocol";

/** Bytes of some events, and why there are none for those after them. */
export interface Written {
  /** Frames in the order of their events; empty where there is none. */
  readonly bytes: Uint8Array;
  /** What is wrong with the next event; null where nothing is. */
  readonly fault: unknown;
}

/** The bytes of one answer to a peer: each token is charged before it is written, and all is hashed for the receipt. */
export class AnswerBytes {
  readonly #charge: Pick<Charge, "write">;
  readonly #hash = new StreamHash();
  #tokens = 0;

  /** Begins an answer that is paid from an account. */
  constructor(charge: Pick<Charge, "write">) {
    this.#charge = charge;
  }

  /** Tokens that were written. */
  get tokens(): number {
    return this.#tokens;
  }

  /** SHA-256 of all bytes in hex; nothing can be written any more. */
  digest(): string {
    return this.#hash.digest();
  }

  /** A sign of life. */
  alive(): Uint8Array {
    return this.#hashed(ALIVE_FRAME);
  }

  /** Writes events, as one piece, up to one that may not be written. */
  of(events: readonly InferenceEvent[]): Written {
    let count = 0;
    let fault: unknown = null;
    try {
      for (; count < events.length; count++) {
        const tokens = tokensOf(events[count] as InferenceEvent);
        if (tokens === 0) continue;
        this.#charge.write(tokens);
        this.#tokens += tokens;
      }
    } catch (error) {
      fault = error ?? new TypeError("Nothing was thrown");
    }
    const sound = count === events.length ? events : events.slice(0, count);
    return { bytes: this.#hashed(encodeEventFrames(sound)), fault };
  }

  #hashed(bytes: Uint8Array): Uint8Array {
    this.#hash.update(bytes);
    return bytes;
  }
}
