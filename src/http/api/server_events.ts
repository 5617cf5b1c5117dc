const ENCODER = new TextEncoder();

/**
 * Line breaks to some clients, which cut a stream by Unicode's idea of a line, and harmless inside JSON to none; C0 ones
 * are escaped by `JSON.stringify` itself.
 */
const UNICODE_BREAKS = /[\u0085\u2028\u2029]/g;

/** Any value as JSON in one line, by every client's idea of a line. */
export function jsonLine(value: unknown): string {
  const json = JSON.stringify(value);
  // Almost no text has one: a search is cheaper than a replacement.
  return json.search(UNICODE_BREAKS) < 0 ? json : json.replaceAll(UNICODE_BREAKS, escaped);
}

/** A server-sent event with a name, as text. */
export function namedEvent(name: string, data: string): string {
  return `event: ${name}\ndata: ${data}\n\n`;
}

/** Text as the bytes that are sent. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return ENCODER.encode(text);
}

/** Headers of an answer that is a stream of server-sent events. */
export const EVENT_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "text/event-stream",
  "cache-control": "no-store",
  // nginx holds an answer back otherwise.
  "x-accel-buffering": "no",
};

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
