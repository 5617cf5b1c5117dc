import { ArkError, type ErrorCode } from "@ark/node/protocol";
import { boundedBytes, type MeshRequest, wholeBody } from "@ark/node/transport";

/** A body that cannot be read as JSON. `status` is finer than the code: 415 has no code of its own. */
export class RequestBodyError extends ArkError {
  /** HTTP status that says what is wrong. */
  readonly status: 400 | 413 | 415;

  /** Makes an error with the HTTP status that says what is wrong. */
  constructor(status: 400 | 413 | 415, message: string, options?: ErrorOptions) {
    const code: ErrorCode = status === 413 ? "too_large" : "bad_request";
    super(code, message, options);
    this.status = status;
  }
}

const JSON_TYPE = /^\s*application\/json\s*(?:;|$)/i;

/** Options of {@linkcode readJson}. */
export interface ReadJsonOptions {
  /** Whether a body is read whatever type it has. Only for a request that no web page can have sent. @default {false} */
  anyType?: boolean;
}

/**
 * Reads a body of at most so many bytes as JSON. Only `application/json` is read: a web page of another site can send
 * every other type without the browser asking first.
 *
 * The value is what `JSON.parse` makes: a key `__proto__` is an own property like any other, and depth is limited by the
 * bytes alone, so whoever walks the value must not recurse into what it does not know.
 *
 * @throws {RequestBodyError} 415 for another type or an encoded body, 413 when it is too long, 400 when it is no JSON.
 * @throws {ArkError} `cancelled` when the caller went away before the end of the body.
 */
export async function readJson(
  request: Pick<MeshRequest, "headers" | "body" | "bytes">,
  limitBytes: number,
  { anyType = false }: ReadJsonOptions = {},
): Promise<unknown> {
  const { headers } = request;
  if (!anyType && !JSON_TYPE.test(headers.get("content-type") ?? "")) {
    throw new RequestBodyError(415, "The body must be JSON, sent with the header 'Content-Type: application/json'");
  }
  const encoding = headers.get("content-encoding");
  if (encoding !== null && encoding.toLowerCase() !== "identity") {
    throw new RequestBodyError(415, "The body must be sent without a Content-Encoding");
  }
  const stated = headers.get("content-length");
  if (Number(stated ?? 0) > limitBytes) throw tooLarge(limitBytes);
  // A length that is stated is also the most that arrives, and reading it in one go takes a third of the time.
  const bytes = stated === null ? await readChunks(request, limitBytes) : await readAtOnce(request);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    // The parser's own message quotes the body, which may be a prompt.
    throw new RequestBodyError(400, "The body is not valid JSON in UTF-8");
  }
}

async function readAtOnce(request: Pick<MeshRequest, "bytes">): Promise<Uint8Array> {
  try {
    return await (wholeBody(request) ?? request.bytes());
  } catch (error) {
    throw new ArkError("cancelled", "The request's body broke off", { cause: error });
  }
}

async function readChunks(request: Pick<MeshRequest, "body">, limitBytes: number): Promise<Uint8Array> {
  try {
    return await boundedBytes(request.body, { most: limitBytes, tooLong: () => tooLarge(limitBytes) });
  } catch (error) {
    if (error instanceof ArkError) throw error;
    throw new ArkError("cancelled", "The request's body broke off", { cause: error });
  }
}

function tooLarge(limitBytes: number): RequestBodyError {
  return new RequestBodyError(413, `The body is longer than ${limitBytes} bytes, which is the limit of this call`);
}
