import { ArkError } from "@ark/node/protocol";

/**
 * Reads the JSON body of a request. Only `application/json` is taken: a web page can send other types anywhere without
 * asking first.
 *
 * @throws {ArkError} `bad_request` for another type or malformed JSON, `too_large` when it has more bytes than the limit.
 */
export async function readJson(request: Request, limitBytes: number): Promise<unknown> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw new ArkError("bad_request", "The request must have the header 'Content-Type: application/json'");
  }
  const stated = Number(request.headers.get("content-length") ?? 0);
  if (stated > limitBytes) throw tooLarge(limitBytes);
  const text = new TextDecoder().decode(await bodyOf(request, limitBytes));
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the text.
    throw new ArkError("bad_request", "The request is not valid JSON");
  }
}

async function bodyOf(request: Request, limitBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.length;
    if (size > limitBytes) throw tooLarge(limitBytes);
    chunks.push(chunk);
  }
  const [first] = chunks;
  if (chunks.length === 1 && first !== undefined) return first;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

function tooLarge(limitBytes: number): ArkError {
  return new ArkError("too_large", `The request has more than ${Math.round(limitBytes / 1_024)} KiB: send a shorter one`);
}
