import { bad } from "./decode_value.ts";

/**
 * Which of a number of chunks are there. Bit i is bit `7 - (i mod 8)` of byte `floor(i / 8)`; bits behind the last one are
 * zero.
 */
export class Bitfield {
  /** Number of bits. */
  readonly length: number;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #count = 0;

  /** Makes one of a number of bits that are all zero. */
  constructor(length: number) {
    if (!Number.isSafeInteger(length) || length < 0) throw new RangeError("A bitfield has a whole number of bits");
    this.length = length;
    this.#bytes = new Uint8Array(Math.ceil(length / 8));
  }

  /** One in which all bits are set. */
  static full(length: number): Bitfield {
    const field = new Bitfield(length);
    for (let index = 0; index < length; index++) field.set(index);
    return field;
  }

  /**
   * Reads one of its bytes.
   *
   * @throws {ArkError} `bad_request` where they are too many or too few, or a bit behind the last one is set.
   */
  static of(bytes: Uint8Array, length: number): Bitfield {
    const field = new Bitfield(length);
    if (bytes.length !== field.#bytes.length) {
      throw bad(`A bitfield of ${length} chunks has ${field.#bytes.length} bytes`);
    }
    field.#bytes.set(bytes);
    for (const byte of bytes) field.#count += ones(byte);
    const spare = field.#bytes.length * 8 - length;
    if (((bytes.at(-1) ?? 0) & ((1 << spare) - 1)) !== 0) throw bad("A bitfield has bits behind its last chunk");
    return field;
  }

  /** How many bits are set. */
  get count(): number {
    return this.#count;
  }

  /** Whether all bits are set. */
  get full(): boolean {
    return this.#count === this.length;
  }

  /** Whether a bit is set; none outside is. */
  get(index: number): boolean {
    if (!this.#has(index)) return false;
    return ((this.#bytes[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0;
  }

  /**
   * Sets a bit.
   *
   * @throws {RangeError} where there is no such bit.
   */
  set(index: number): void {
    if (!this.#has(index)) throw new RangeError(`The bitfield has no bit ${index}`);
    if (this.get(index)) return;
    this.#bytes[index >> 3] = (this.#bytes[index >> 3] ?? 0) | (0x80 >> (index & 7));
    this.#count++;
  }

  /**
   * Clears a bit.
   *
   * @throws {RangeError} where there is no such bit.
   */
  clear(index: number): void {
    if (!this.#has(index)) throw new RangeError(`The bitfield has no bit ${index}`);
    if (!this.get(index)) return;
    this.#bytes[index >> 3] = (this.#bytes[index >> 3] ?? 0) & ~(0x80 >> (index & 7));
    this.#count--;
  }

  /** A copy of its bytes. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice();
  }

  /** One of the same bits, which changes on its own. */
  copy(): Bitfield {
    return Bitfield.of(this.#bytes, this.length);
  }

  #has(index: number): boolean {
    return Number.isInteger(index) && index >= 0 && index < this.length;
  }
}

function ones(byte: number): number {
  let count = 0;
  for (let rest = byte; rest !== 0; rest &= rest - 1) count++;
  return count;
}
