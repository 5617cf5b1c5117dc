import { createHash } from "node:crypto";
import { LANES } from "./sha256_lane_program.ts";
import { Sha256Lanes } from "./sha256_lanes.ts";

/** Options of {@linkcode ChunkHasher}. */
export interface ChunkHasherOptions {
  /** Monotonic milliseconds. @default {performance.now} */
  now?: () => number;
}

/**
 * Bytes in a second from which on a processor has instructions for SHA-256: with them it is 1 to 2 GB/s, without them never
 * more than 500 MB/s.
 */
const INSTRUCTIONS = 700e6;
/** So many messages are hashed together: the vectors are full, or half of them. */
const LEAST_LANES = 2;
/** A shorter message tells nothing of the speed. */
const TELLING_BYTES = 1 << 20;

/**
 * SHA-256 of some chunks, the fastest way that this processor has: one after the other with its own instructions for that;
 * where it has none, together in vectors, which is two to three times as fast. The first chunks tell which it is.
 */
export class ChunkHasher {
  readonly #now: () => number;
  /** The best speed of one message alone, in bytes a second. */
  #alone = 0;
  #lanes: Sha256Lanes | null | undefined;

  /** Has hashed nothing yet. */
  constructor({ now = () => performance.now() }: ChunkHasherOptions = {}) {
    this.#now = now;
  }

  /** Digests of some messages, in their order. */
  digests(messages: readonly Uint8Array[]): Uint8Array[] {
    if (this.#alone > 0 && this.#alone < INSTRUCTIONS && messages.length >= LEAST_LANES && messages.length <= LANES) {
      const { length } = messages[0] ?? { length: 0 };
      const lanes = messages.every((message) => message.length === length) ? this.#vectors() : null;
      if (lanes !== null) return lanes.digests(messages);
    }
    return messages.map((message) => this.#one(message));
  }

  #one(message: Uint8Array): Uint8Array {
    const began = this.#now();
    const digest = createHash("sha256").update(message).digest();
    const ms = this.#now() - began;
    // Whatever else runs makes it slower, and nothing makes it faster.
    if (message.length >= TELLING_BYTES && ms > 0) this.#alone = Math.max(this.#alone, message.length / ms * 1_000);
    return digest;
  }

  #vectors(): Sha256Lanes | null {
    if (this.#lanes === undefined) {
      try {
        this.#lanes = new Sha256Lanes();
      } catch {
        // A processor without vectors.
        this.#lanes = null;
      }
    }
    return this.#lanes;
  }
}
