/**
 * The framing between node and worker: a length of four bytes, big-endian, then so many bytes of JSON in UTF-8.
 */

/** Largest frame without its length: 16 MiB. */
export const FRAME_BYTES = 16 << 20;

const LENGTH_BYTES = 4;
const FIRST_BUFFER_BYTES = 64 << 10;
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder("utf-8", { fatal: true });

/**
 * Makes the frame of one message.
 *
 * @throws {RangeError} when it is larger than {@linkcode FRAME_BYTES}.
 */
export function encodeFrame(message: unknown): Uint8Array<ArrayBuffer> {
  const json = ENCODER.encode(JSON.stringify(message));
  if (json.length > FRAME_BYTES) throw new RangeError("The message is larger than a frame may be");
  const frame = new Uint8Array(LENGTH_BYTES + json.length);
  new DataView(frame.buffer).setUint32(0, json.length);
  frame.set(json, LENGTH_BYTES);
  return frame;
}

/** Puts frames together from chunks of any size. */
export class FrameReader {
  #buffer = new Uint8Array(FIRST_BUFFER_BYTES);
  #length = 0;

  /** Whether a frame has begun and not ended. */
  get partial(): boolean {
    return this.#length > 0;
  }

  /**
   * Takes a chunk and returns the messages that are complete now.
   *
   * @throws {SyntaxError} when the bytes are not frames; the reader is of no use then.
   */
  push(chunk: Uint8Array): unknown[] {
    this.#append(chunk);
    const messages: unknown[] = [];
    let start = 0;
    for (;;) {
      const end = this.#frameEnd(start);
      if (end === undefined || end > this.#length) break;
      messages.push(parse(this.#buffer.subarray(start + LENGTH_BYTES, end)));
      start = end;
    }
    this.#drop(start);
    return messages;
  }

  /** Where the frame that begins at `start` ends, or undefined while its length is not here. */
  #frameEnd(start: number): number | undefined {
    if (this.#length - start < LENGTH_BYTES) return undefined;
    const [a = 0, b = 0, c = 0, d = 0] = this.#buffer.subarray(start, start + LENGTH_BYTES);
    const length = (a << 24 | b << 16 | c << 8 | d) >>> 0;
    if (length > FRAME_BYTES) throw new SyntaxError("A frame is larger than it may be");
    return start + LENGTH_BYTES + length;
  }

  #append(chunk: Uint8Array): void {
    const needed = this.#length + chunk.length;
    if (needed > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    this.#buffer.set(chunk, this.#length);
    this.#length = needed;
  }

  #drop(start: number): void {
    this.#buffer.copyWithin(0, start, this.#length);
    this.#length -= start;
    // One large prompt must not hold its memory for as long as the process lives.
    if (this.#length === 0 && this.#buffer.length > FIRST_BUFFER_BYTES) {
      this.#buffer = new Uint8Array(FIRST_BUFFER_BYTES);
    }
  }
}

function parse(json: Uint8Array): unknown {
  try {
    return JSON.parse(DECODER.decode(json));
  } catch {
    // The cause would quote the bytes, which may be text of a prompt.
    throw new SyntaxError("A frame does not hold JSON");
  }
}
