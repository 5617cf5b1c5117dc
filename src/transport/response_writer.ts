import type { AnswerWriter } from "./answer_writer.ts";
import { isSoon } from "./is_soon.ts";
import { type PushedBody, pushedBody } from "./pushed_body.ts";
import { reasonOf } from "./response_head.ts";

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
const DEFAULT_CONTENT_TYPE = "application/octet-stream";

/** So much at least has to be taken in the time of a stall. */
const PIECE_BYTES = 64 << 10;

/** The beginning of an answer's head: its status, and what its handler set, without what is ours to set; and its type. */
export function answerHead({ status, headers }: Response): { text: string; contentType: string } {
  let contentType = DEFAULT_CONTENT_TYPE;
  let text = "";
  // Not by its iterator, which makes an object and an array for each field.
  headers.forEach((value, name) => {
    if (name === "content-type") contentType = value;
    else if (!OWN_FIELDS.has(name)) text += `${name}: ${value}\r\n`;
  });
  return { text: `${statusLine(status)}content-type: ${contentType}\r\n${text}`, contentType };
}

/**
 * The first line of an answer.
 *
 * @throws {RangeError} where the status is none of a final answer.
 */
export function statusLine(status: number): string {
  if (!(status >= 200 && status <= 599)) throw new RangeError(`The status is no final one: ${status}`);
  return `HTTP/1.1 ${status} ${reasonOf(status)}\r\n`;
}

/** Fields, and the blank line that ends a head. */
export function fieldLines(fields: Readonly<Record<string, string>>): string {
  let text = "";
  for (const name in fields) text += `${name}: ${fields[name]}\r\n`;
  return `${text}\r\n`;
}

/** Whether an answer with this status has no body, not even an empty one. */
export function isBare(status: number): boolean {
  return status === 204 || status === 304;
}

/** Options of {@linkcode writeBody}. */
export interface WriteBodyOptions {
  /** Fires when the connection is closed before all was written. */
  readonly signal: AbortSignal;
}

/**
 * Writes a body in chunks after the head that an answer was begun with: the head at once, each chunk as it comes, never more
 * than the connection takes. Returns when all of it was handed to the connection, or that is closed; the body is cancelled if
 * it was not written to its end.
 *
 * Rejects with what the body fails with. The connection has to be cut then, since a clean end would hide that. `caller` is
 * looked at only for a body that is read.
 */
export async function writeBody(
  writer: AnswerWriter,
  { body, caller }: { body: ReadableStream<Uint8Array> | null; caller: WriteBodyOptions },
): Promise<void> {
  if (body === null) return writer.end();
  const pushed = pushedBody(body);
  if (pushed !== null) return await writePushed(writer, pushed);
  const { signal } = caller;
  const reader = body.getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", cancel, { once: true });
  try {
    signal.throwIfAborted();
    let next = reader.read();
    // Head and body of a short answer fit into one packet; for a stream the head must not wait.
    if (!await isSoon(next)) writer.flush();
    for (let chunk = await next; !chunk.done; chunk = await next) {
      const { value } = chunk;
      next = reader.read();
      if (!writer.begun && value.length <= PIECE_BYTES && await isSoon(next) && (await next).done) {
        return writer.end(value.length === 0 ? undefined : value);
      }
      // Whoever waits here for room must not leave a failing read unobserved.
      next.catch(() => {});
      for (let at = 0; at < value.length; at += PIECE_BYTES) {
        signal.throwIfAborted();
        const full = writer.write(value.subarray(at, at + PIECE_BYTES));
        if (full !== null) await full;
      }
    }
    writer.end();
  } catch (error) {
    cancel();
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

/** Writes a body that is pushed: each piece as it comes, and what is there already together with the head. */
async function writePushed(writer: AnswerWriter, pushed: PushedBody): Promise<void> {
  if (writer.gone) return;
  try {
    const piped = pushed.pipe(writer);
    writer.flush();
    await piped;
    writer.end();
  } catch (error) {
    if (!writer.gone) throw error;
  }
}
