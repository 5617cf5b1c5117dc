import type { ServerResponse } from "node:http";
import { setImmediate } from "node:timers";

/** Header fields that belong to one connection or to the signature, and are never taken from a handler. */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
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

/** Copies a web response's header fields, without those that are ours to set. */
export function headersOf(response: Response): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const [name, value] of response.headers) {
    if (!OWN_FIELDS.has(name)) fields[name] = value;
  }
  fields["content-type"] ??= DEFAULT_CONTENT_TYPE;
  return fields;
}

/**
 * Writes a body after the head that `outgoing` already has set: the head at once, each chunk as it comes, never more than
 * the connection takes. Returns when all is written or the connection is closed; a caller that takes nothing for
 * `stallMs` is cut off, and so is one whose answer breaks, since a clean end would hide that.
 */
export async function writeBody(
  outgoing: ServerResponse,
  { body, stallMs }: { body: ReadableStream<Uint8Array> | null; stallMs: number },
): Promise<void> {
  if (body === null) {
    outgoing.end();
    return;
  }
  const reader = body.getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  outgoing.once("close", cancel);
  try {
    let next = reader.read();
    // Head and body of a short answer fit into one packet; for a stream the head must not wait.
    if (!await isSoon(next)) outgoing.flushHeaders();
    for (let chunk = await next; !chunk.done && !outgoing.destroyed; chunk = await next) {
      next = reader.read();
      if (!outgoing.headersSent && await isSoon(next) && (await next).done) {
        outgoing.end(chunk.value);
        return;
      }
      // Whoever waits here for room must not leave a failing read unobserved.
      next.catch(() => {});
      if (!outgoing.write(chunk.value)) await drained(outgoing, stallMs);
    }
    outgoing.end();
  } catch {
    outgoing.destroy();
  } finally {
    if (outgoing.destroyed) cancel();
    outgoing.off("close", cancel);
  }
}

/** Whether a promise settles before the event loop has gone round once. */
async function isSoon(promise: Promise<unknown>): Promise<boolean> {
  const { promise: first, resolve } = Promise.withResolvers<"promise" | "turn">();
  const settled = () => resolve("promise");
  promise.then(settled, settled);
  setImmediate(() => resolve("turn"));
  return await first === "promise";
}

/** Resolves when there is room again or the connection is closed; cuts it after `stallMs`. */
function drained(outgoing: ServerResponse, stallMs: number): Promise<void> {
  if (outgoing.destroyed) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  const go = () => {
    clearTimeout(timer);
    outgoing.off("drain", go);
    outgoing.off("close", go);
    resolve();
  };
  const timer = setTimeout(() => outgoing.destroy(), stallMs);
  outgoing.once("drain", go);
  outgoing.once("close", go);
  return promise;
}
