import type { ServerResponse } from "node:http";
import type { Writable } from "node:stream";
import { ArkError } from "@ark/node/protocol";
import { isSoon } from "./is_soon.ts";
import { pushedBody } from "./pushed_body.ts";
import { writePushed } from "./pushed_writer.ts";

/** Header fields that belong to one connection or to the signature, and are never taken from a handler. */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  // All bodies are chunked: that way their end is seen only when they were written to the end.
  "content-length",
  "transfer-encoding",
  "upgrade",
  "trailer",
  "date",
  "ark-from",
  "ark-nonce",
  "signature",
  "signature-input",
]);

/** Type of an answer that names none; the signature needs one. */
export const DEFAULT_CONTENT_TYPE = "application/octet-stream";

/** So much at least has to be taken in the time of a stall. */
const PIECE_BYTES = 64 << 10;

/** Copies a web response's header fields, without those that are ours to set. */
export function headersOf(response: Response): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const [name, value] of response.headers) {
    if (!OWN_FIELDS.has(name)) fields[name] = value;
  }
  fields["content-type"] ??= DEFAULT_CONTENT_TYPE;
  return fields;
}

/** Options of {@linkcode writeBody}. */
export interface WriteBodyOptions {
  /** What to write; null for nothing. */
  body: ReadableStream<Uint8Array> | null;
  /** How long the connection may take none of it, in milliseconds. */
  stallMs: number;
  /** Fires when the connection is closed. */
  signal: AbortSignal;
}

/**
 * Writes a body after the head that `outgoing` already has set: the head at once, each chunk as it comes, never more than
 * the connection takes. Returns when the connection has taken it all or is closed; the body is cancelled if it was not
 * written to its end.
 *
 * Rejects when the caller takes nothing for `stallMs`, and with what the body fails with. The connection has to be cut
 * then, since a clean end would hide that.
 */
export async function writeBody(
  outgoing: ServerResponse,
  { body, stallMs, signal }: WriteBodyOptions,
): Promise<void> {
  const until = (event: "drain" | "finish") => taken(outgoing, { event, stallMs, signal });
  if (body === null) {
    outgoing.end();
    return await until("finish");
  }
  const pushed = pushedBody(body);
  if (pushed !== null) return await writePushed(outgoing, pushed, { stallMs, signal });
  const reader = body.getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", cancel, { once: true });
  try {
    signal.throwIfAborted();
    let next = reader.read();
    // Head and body of a short answer fit into one packet; for a stream the head must not wait.
    if (!await isSoon(next)) outgoing.flushHeaders();
    for (let chunk = await next; !chunk.done; chunk = await next) {
      const { value } = chunk;
      next = reader.read();
      if (!outgoing.headersSent && value.length <= PIECE_BYTES && await isSoon(next) && (await next).done) {
        outgoing.end(value);
        return await until("finish");
      }
      // Whoever waits here for room must not leave a failing read unobserved.
      next.catch(() => {});
      for (let at = 0; at < value.length; at += PIECE_BYTES) {
        signal.throwIfAborted();
        if (!outgoing.write(value.subarray(at, at + PIECE_BYTES))) await until("drain");
      }
    }
    outgoing.end();
    await until("finish");
  } catch (error) {
    cancel();
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

/** Resolves when an answer's connection, or a socket, has taken what was written or is closed; rejects after `stallMs`. */
export function taken(
  outgoing: Writable,
  { event, stallMs, signal }: { event: "drain" | "finish"; stallMs: number; signal: AbortSignal },
): Promise<void> {
  if (signal.aborted || outgoing.writableFinished) return Promise.resolve();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    reject(new ArkError("unavailable", `The caller took nothing of its answer for ${stallMs} ms`));
  }, stallMs);
  const go = () => resolve();

  outgoing.once(event, go);
  // Whoever hangs up as soon as the last byte is there may do so before it is known to be written.
  outgoing.once("close", go);
  signal.addEventListener("abort", go, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    outgoing.off(event, go);
    outgoing.off("close", go);
    signal.removeEventListener("abort", go);
  });
}
