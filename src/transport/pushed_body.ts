import type { ByteSink } from "./socket_writer.ts";

/** What writes the body of an answer by itself, instead of being read piece by piece. */
export interface PushedBody {
  /**
   * Writes the whole body; called at most once, and not after the stream was read from.
   *
   * Rejects where the body ends before it is complete: then the connection has to be cut, since a clean end would hide it.
   */
  pipe(sink: ByteSink): Promise<void>;
}

const PUSHED = new WeakMap<ReadableStream, PushedBody>();

/**
 * Notes that the bytes of a stream can also be had without it. A stream takes several turns of promises for each piece, and
 * a server that knows of the other way need not go through it; all others read the stream.
 */
export function notePushed(stream: ReadableStream<Uint8Array>, body: PushedBody): void {
  PUSHED.set(stream, body);
}

/** The other way to the bytes of a stream, or null. */
export function pushedBody(stream: ReadableStream<Uint8Array>): PushedBody | null {
  return stream.locked ? null : PUSHED.get(stream) ?? null;
}
