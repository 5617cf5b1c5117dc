/** Bytes from the beginning of a file to its end, in order. `Deno.FsFile` is one. */
export interface ByteSource {
  /** Fills the buffer with the next bytes, and says how many; null at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
}

const CHUNK_BYTES = 256 << 10;
const LITTLE_ENDIAN = true;
const DECODER = new TextDecoder();

/**
 * Takes little-endian values off a source, holding one chunk at a time. `need()` may wait, the takers never do: they
 * take what a `need()` before them has assured.
 */
export class GgufReader {
  readonly #source: ByteSource;
  readonly #limit: number;
  readonly #buffer: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  #start = 0;
  #end = 0;
  #consumed = 0;

  /** Reads from a source, and refuses to go past `limit` bytes. */
  constructor(source: ByteSource, limit: number) {
    this.#source = source;
    this.#limit = limit;
    this.#buffer = new Uint8Array(Math.min(CHUNK_BYTES, limit));
    this.#view = new DataView(this.#buffer.buffer);
  }

  /** Bytes taken so far. */
  get position(): number {
    return this.#consumed;
  }

  /** Bytes that may still be taken. */
  get remaining(): number {
    return this.#limit - this.#consumed;
  }

  /** Whether this many bytes are here already, so that a loop need not wait for each element. */
  has(count: number): boolean {
    return this.#end - this.#start >= count;
  }

  /** Waits until this many bytes, at most one chunk, are here. */
  async need(count: number): Promise<void> {
    if (count > this.remaining) throw tooLong();
    if (this.has(count)) return;
    this.#buffer.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
    while (this.#end < count) {
      const read = await this.#source.read(this.#buffer.subarray(this.#end));
      if (read === null || read === 0) throw new SyntaxError("The file ends in the middle of its header");
      this.#end += read;
    }
  }

  /** Leaves out this many bytes, however many chunks that takes. */
  async skip(count: number): Promise<void> {
    if (count > this.remaining) throw tooLong();
    for (let left = count; left > 0;) {
      const step = Math.min(left, CHUNK_BYTES);
      await this.need(step);
      this.#advance(step);
      left -= step;
    }
  }

  /** Leaves out this many bytes that are here already. */
  pass(count: number): void {
    this.#advance(count);
  }

  /** Takes one byte. */
  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  /** Takes a signed byte. */
  i8(): number {
    return this.#view.getInt8(this.#advance(1));
  }

  /** Takes two bytes. */
  u16(): number {
    return this.#view.getUint16(this.#advance(2), LITTLE_ENDIAN);
  }

  /** Takes two bytes, signed. */
  i16(): number {
    return this.#view.getInt16(this.#advance(2), LITTLE_ENDIAN);
  }

  /** Takes four bytes. */
  u32(): number {
    return this.#view.getUint32(this.#advance(4), LITTLE_ENDIAN);
  }

  /** Takes four bytes, signed. */
  i32(): number {
    return this.#view.getInt32(this.#advance(4), LITTLE_ENDIAN);
  }

  /** Takes a four-byte float. */
  f32(): number {
    return this.#view.getFloat32(this.#advance(4), LITTLE_ENDIAN);
  }

  /** Takes an eight-byte float. */
  f64(): number {
    return this.#view.getFloat64(this.#advance(8), LITTLE_ENDIAN);
  }

  /** Takes eight bytes, signed. */
  i64(): bigint {
    return this.#view.getBigInt64(this.#advance(8), LITTLE_ENDIAN);
  }

  /** Takes eight bytes, unsigned. */
  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), LITTLE_ENDIAN);
  }

  /** Takes eight bytes that say how many or how far, and refuses what a number cannot hold exactly. */
  count(): number {
    const at = this.#advance(8);
    const high = this.#view.getUint32(at + 4, LITTLE_ENDIAN);
    if (high > 0x1fffff) throw new SyntaxError("The file states a number that is too large for any file");
    return high * 0x100000000 + this.#view.getUint32(at, LITTLE_ENDIAN);
  }

  /** Takes this many bytes as a text; bytes that are no UTF-8 become U+FFFD. */
  text(length: number): string {
    const at = this.#advance(length);
    return DECODER.decode(this.#buffer.subarray(at, at + length));
  }

  #advance(count: number): number {
    const at = this.#start;
    this.#start += count;
    this.#consumed += count;
    return at;
  }
}

function tooLong(): SyntaxError {
  return new SyntaxError("The file's header is longer than the file, or longer than 64 MiB");
}
