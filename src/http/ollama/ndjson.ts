const ENCODER = new TextEncoder();

/**
 * Line breaks to clients that cut a stream by Unicode's idea of a line (Python's `splitlines`, which Ollama's own client
 * uses), and harmless inside JSON to none; C0 ones are escaped by `JSON.stringify` itself.
 */
const UNICODE_BREAKS = /[\u0085\u2028\u2029]/g;

/** Type of an answer in lines. */
export const NDJSON_TYPE = "application/x-ndjson";

/** A value as one line of JSON. */
export function jsonLine(value: unknown): Uint8Array<ArrayBuffer> {
  return encoded(jsonText(value));
}

/** A value as JSON without any line break. */
export function jsonText(value: unknown): string {
  const json = JSON.stringify(value);
  // Almost no text has one: a search is cheaper than a replacement.
  return json.search(UNICODE_BREAKS) < 0 ? json : json.replaceAll(UNICODE_BREAKS, escaped);
}

/** JSON without any line break as a line. */
export function encoded(json: string): Uint8Array<ArrayBuffer> {
  return ENCODER.encode(json + "\n");
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** An answer in lines. */
export function linesAnswer(body: ReadableStream<Uint8Array>): Response {
  return new Response(body, {
    headers: {
      "content-type": NDJSON_TYPE,
      "cache-control": "no-store",
      // nginx holds an answer back otherwise.
      "x-accel-buffering": "no",
    },
  });
}

/** An answer in one piece, with the type that Ollama gives it. */
export function jsonAnswer(body: object): Response {
  return Response.json(body, { headers: { "content-type": "application/json; charset=utf-8" } });
}
