import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { ChunkSink } from "./chunk_sink.ts";
import type { PushedBody } from "./pushed_body.ts";
import { taken, type WriteBodyOptions } from "./response_writer.ts";
import type { ByteSink } from "./socket_writer.ts";

/**
 * Writes a body that is pushed, after the head that `outgoing` already has set: chunked, each piece as it comes. Returns
 * when the connection has taken it all or is closed.
 *
 * Rejects when the caller takes nothing for `stallMs`, and with what the body fails with. The connection has to be cut then.
 */
export async function writePushed(
  outgoing: ServerResponse,
  pushed: PushedBody,
  { stallMs, signal }: Omit<WriteBodyOptions, "body">,
): Promise<void> {
  const { socket } = outgoing;
  if (signal.aborted || socket === null) return;
  const sink = new TlsSink(socket, { stallMs, signal });
  try {
    // What is there already goes out together with the head.
    socket.cork();
    outgoing.flushHeaders();
    const piped = pushed.pipe(new ChunkSink(sink));
    socket.uncork();
    await piped;
    if (sink.fault !== null) throw sink.fault;
    if (signal.aborted) return;
    outgoing.end();
    await taken(outgoing, { event: "finish", stallMs, signal });
  } catch (error) {
    if (!signal.aborted || sink.fault !== null) throw error;
  }
}

/** Writes to the connection itself: an answer of `node:http` makes three writes of a chunk, which costs as much as all the rest. */
class TlsSink implements ByteSink {
  /** Why the connection was cut. */
  fault: Error | null = null;
  readonly #socket: Socket;
  readonly #options: { stallMs: number; signal: AbortSignal };
  #room: Promise<void> | null = null;

  constructor(socket: Socket, options: { stallMs: number; signal: AbortSignal }) {
    this.#socket = socket;
    this.#options = options;
  }

  get idle(): boolean {
    return this.#socket.writableLength === 0;
  }

  write(bytes: Uint8Array): Promise<void> | null {
    if (bytes.length === 0 || this.#options.signal.aborted || this.#socket.write(bytes)) return null;
    return this.#room ??= this.#drained();
  }

  async #drained(): Promise<void> {
    const { stallMs, signal } = this.#options;
    try {
      await taken(this.#socket, { event: "drain", stallMs, signal });
    } catch (error) {
      this.fault = error as Error;
      // Whoever makes the answer hears of that by the signal of the request.
      this.#socket.destroy();
    }
    this.#room = null;
  }
}
