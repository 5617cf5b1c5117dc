import { fixedBody, writeFixed } from "./fixed_body.ts";
import type { MeshConnection } from "./mesh_connection.ts";
import type { SignedRequest } from "./mesh_request.ts";
import { answerHead, fieldLines, isBare, writeBody } from "./response_writer.ts";

/** Options of {@linkcode writeAnswer}. */
export interface WriteAnswerOptions {
  /** What is answered. */
  request: SignedRequest;
  /** What its handler returned. */
  response: Response;
  /** Value of the field `date`. */
  date: string;
  /** Signs the head, and returns the fields that do so. */
  sign(status: number, contentType: string): Record<string, string>;
}

/**
 * Writes the answer of a handler, unless its request was forged or the caller has left: then whatever produces it stops.
 * Rejects where it cannot be sent or breaks; the connection has to be cut then.
 */
export async function writeAnswer(
  connection: MeshConnection,
  { request, response, date, sign }: WriteAnswerOptions,
): Promise<void> {
  const { writer } = connection;
  const fixed = fixedBody(response);
  let fixedOver = fixed === null;
  try {
    if (request.forged || request.left) return;
    // A body that the handler did not want is read away.
    request.unwanted();
    const { body, status } = response;
    if (response.bodyUsed) throw new TypeError("Cannot send the answer: its body was read already");
    const { text, contentType } = answerHead(response);
    const length = isBare(status) ? 0 : fixed?.length ?? -1;
    const framing = length === -1
      ? "transfer-encoding: chunked\r\n"
      : fixed === null
      ? ""
      : `content-length: ${length}\r\n`;
    const own = `${framing}date: ${date}\r\n${connection.farewell}${fieldLines(sign(status, contentType))}`;
    writer.begin(text + own, length);
    if (fixed !== null) {
      fixedOver = true;
      return await writeFixed(writer, { body: fixed, signal: request.signal });
    }
    if (length === 0) return writer.flush();
    await writeBody(writer, { body, caller: request });
  } finally {
    // Whatever produces an answer that is not sent must stop.
    if (!fixedOver) fixed?.over(false);
    if (response.body?.locked === false) await response.body.cancel().catch(() => {});
  }
}
