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
    return bytes.length === 0 ? null : this.#writer.write(chunkOf(bytes));
  }
}

/** Bytes as one chunk, with text in latin1 before and behind it. */
export function chunkOf(
  bytes: Uint8Array,
  { before = "", behind = "" }: { before?: string; behind?: string } = {},
): Buffer {
  const { length } = bytes;
  const size = length.toString(16);
  // From a pool: memory of its own for each token keeps the garbage collector busy.
  const framed = Buffer.allocUnsafe(before.length + size.length + length + behind.length + 4);
  let at = put(framed, { text: size, at: put(framed, { text: before, at: 0 }) });
  framed[at++] = 13;
  framed[at++] = 10;
  framed.set(bytes, at);
  at += length;
  framed[at++] = 13;
  framed[at++] = 10;
  put(framed, { text: behind, at });
  return framed;
}

/** Most characters that are written one by one in less time than a call of a native function takes. */
const SHORT = 16;

/** Puts text in latin1 somewhere, and returns where it ends. */
function put(into: Buffer, { text, at }: { text: string; at: number }): number {
  if (text.length > SHORT) into.write(text, at, "latin1");
  else for (let place = 0; place < text.length; place++) into[at + place] = text.charCodeAt(place);
  return at + text.length;
}
