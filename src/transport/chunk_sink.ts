import { Buffer } from "node:buffer";
import type { ByteSink } from "./socket_writer.ts";

/** Frames what is written as chunks. */
export class ChunkSink implements ByteSink {
  readonly #writer: ByteSink;

  /** Frames what goes to another sink. */
  constructor(writer: ByteSink) {
    this.#writer = writer;
  }

  /** Whether everything was taken. */
  get idle(): boolean {
    return this.#writer.idle;
  }

  /** Takes bytes as one chunk. */
  write(bytes: Uint8Array): Promise<void> | null {
    const { length } = bytes;
    if (length === 0) return null;
    const size = length.toString(16);
    // From a pool: memory of its own for each token keeps the garbage collector busy.
    const framed = Buffer.allocUnsafe(length + size.length + 4);
    let at = 0;
    for (; at < size.length; at++) framed[at] = size.charCodeAt(at);
    framed[at++] = 13;
    framed[at++] = 10;
    framed.set(bytes, at);
    framed[at + length] = 13;
    framed[at + length + 1] = 10;
    return this.#writer.write(framed);
  }
}
