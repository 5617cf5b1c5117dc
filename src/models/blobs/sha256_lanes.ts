import { CONSTANTS, INITIAL, laneProgram, LANES, PIECE_BYTES, PLACES } from "./sha256_lane_program.ts";

/** What the program offers. */
interface LaneExports {
  memory: WebAssembly.Memory;
  /** Takes blocks of 64 bytes of all lanes, as many as are said, into their states. */
  blocks(count: number): void;
}

/**
 * SHA-256 of up to four messages of the same length at once, for processors without instructions for it: the four states lie
 * beside each other in vectors, so that each step is done for all of them. One message alone takes as long as four.
 */
export class Sha256Lanes {
  readonly #exports: LaneExports;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #words: Uint32Array<ArrayBuffer>;

  /** Prepares memory and program. @throws {WebAssembly.CompileError} where the processor has no vectors. */
  constructor() {
    const module = new WebAssembly.Module(laneProgram());
    this.#exports = new WebAssembly.Instance(module).exports as unknown as LaneExports;
    const memory = this.#exports.memory.buffer as ArrayBuffer;
    this.#bytes = new Uint8Array(memory);
    this.#words = new Uint32Array(memory);
    for (const [at, constant] of CONSTANTS.entries()) this.#splat(PLACES.constants + at * 16, constant);
  }

  /** Their digests. @throws {RangeError} where they are more than four, or not of one length. */
  digests(messages: readonly Uint8Array[]): Uint8Array<ArrayBuffer>[] {
    const [first] = messages;
    if (first === undefined) return [];
    const { length } = first;
    if (messages.length > LANES || messages.some((message) => message.length !== length)) {
      throw new RangeError("Up to four messages of one length are hashed at once");
    }
    for (const [at, word] of INITIAL.entries()) this.#splat(PLACES.state + at * 16, word);
    const whole = length - length % 64;
    for (let at = 0; at < whole; at += PIECE_BYTES) {
      const end = Math.min(whole, at + PIECE_BYTES);
      messages.forEach((message, lane) => this.#bytes.set(message.subarray(at, end), lane * PIECE_BYTES));
      this.#exports.blocks((end - at) / 64);
    }
    messages.forEach((message, lane) => this.#bytes.set(ending(message.subarray(whole), length), lane * PIECE_BYTES));
    this.#exports.blocks(length % 64 < 56 ? 1 : 2);
    return messages.map((_, lane) => this.#digest(lane));
  }

  #splat(at: number, word: number): void {
    this.#words.fill(word, at / 4, at / 4 + LANES);
  }

  #digest(lane: number): Uint8Array<ArrayBuffer> {
    const digest = new Uint8Array(32);
    const view = new DataView(digest.buffer);
    for (let at = 0; at < 8; at++) view.setUint32(at * 4, this.#words[PLACES.state / 4 + at * LANES + lane] ?? 0);
    return digest;
  }
}

/** The last blocks of a message: what is left of it, one bit, and its length in bits. */
function ending(rest: Uint8Array, length: number): Uint8Array {
  const blocks = new Uint8Array(rest.length < 56 ? 64 : 128);
  blocks.set(rest);
  blocks[rest.length] = 0x80;
  new DataView(blocks.buffer).setBigUint64(blocks.length - 8, BigInt(length) * 8n);
  return blocks;
}
