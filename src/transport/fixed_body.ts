import type { AnswerWriter } from "./answer_writer.ts";

/** The body of an answer whose length is known before: it is not cut into the chunks of HTTP, nor read through a stream. */
export interface FixedBody {
  /** Bytes of the whole body. */
  readonly length: number;
  /**
   * The next bytes, at once or when they may go; null where there are none. They are not changed before the next call.
   * Rejects where the body must not go on: the connection is cut then, so that the caller sees that it is not whole.
   */
  next(signal: AbortSignal): Promise<Uint8Array | null>;
  /** Called exactly once, when nothing more is asked of the body: with true where the connection has taken all of it. */
  over(whole: boolean): void;
}

const FIXED = new WeakMap<Response, FixedBody>();

/** An answer with a body of a fixed length, for a mesh listener; nobody else can read that body. */
export function fixedResponse(body: FixedBody, init: { contentType: string }): Response {
  const response = new Response(null, { headers: { "content-type": init.contentType } });
  FIXED.set(response, body);
  return response;
}

/** The body of an answer that {@linkcode fixedResponse} made, else null. */
export function fixedBody(response: Response): FixedBody | null {
  return FIXED.get(response) ?? null;
}

/**
 * Writes a body of a fixed length after the head that an answer was begun with. Returns when the connection has taken it all
 * or is closed. Rejects with what the body fails with: the connection has to be cut then.
 */
export async function writeFixed(
  writer: AnswerWriter,
  { body, signal }: { body: FixedBody; signal: AbortSignal },
): Promise<void> {
  let left = body.length;
  let whole = false;
  // Whoever waits for the head must not wait for the first bytes, too, which may have to wait for their turn.
  writer.flush();
  try {
    while (left > 0) {
      const bytes = await body.next(signal);
      // Whoever announced more than there is would leave the caller waiting.
      if (bytes === null || bytes.length > left) throw new RangeError("The body has not the length that it announced");
      if (writer.gone) return;
      left -= bytes.length;
      writer.pass(bytes);
      // The next bytes are made only when these are gone: what waits here would be memory of each caller.
      await writer.emptied();
      if (writer.gone) return;
    }
    await writer.emptied();
    whole = !writer.gone;
  } catch (error) {
    if (!writer.gone) throw error;
  } finally {
    body.over(whole);
  }
}
