import { encodeFrame } from "./frames.ts";

/** So many bytes do not wait for more. */
const ENOUGH_BYTES = 32 << 10;

/**
 * Writes frames in the order in which they come, those of one moment together: what one step of the engine brings for
 * all of its answers is one write, and one thing to wake up for on the other side. Nothing waits for longer than what
 * JavaScript is at takes, so all is written before the next step begins.
 */
export class FrameWriter {
  readonly #write: (bytes: Uint8Array) => void;
  #waiting: Uint8Array[] = [];
  #bytes = 0;

  /** Makes a writer; `write` takes all of what it is given before it returns. */
  constructor(write: (bytes: Uint8Array) => void) {
    this.#write = write;
  }

  /**
   * Takes a message.
   *
   * @throws {RangeError} when it is larger than a frame may be.
   */
  push(message: unknown): void {
    const frame = encodeFrame(message);
    if (this.#waiting.length === 0) queueMicrotask(() => this.flush());
    this.#waiting.push(frame);
    this.#bytes += frame.length;
    if (this.#bytes >= ENOUGH_BYTES) this.flush();
  }

  /** Writes what waits. */
  flush(): void {
    const [first, ...more] = this.#waiting;
    if (first === undefined) return;
    const bytes = more.length === 0 ? first : joined(this.#waiting, this.#bytes);
    this.#waiting = [];
    this.#bytes = 0;
    this.#write(bytes);
  }
}

function joined(frames: readonly Uint8Array[], length: number): Uint8Array {
  const all = new Uint8Array(length);
  let at = 0;
  for (const frame of frames) {
    all.set(frame, at);
    at += frame.length;
  }
  return all;
}
