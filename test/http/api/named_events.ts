/** Reads streams of events that have names. */
import assert from "node:assert/strict";

// deno-lint-ignore no-explicit-any
type Json = any;

/** The data of a stream's events, in order, each with its name beside it; comments are left out. */
export async function namedEventsOf(response: Response): Promise<{ name: string; data: Json }[]> {
  assert.equal(response.headers.get("content-type"), "text/event-stream", await failureText(response));
  return namedEvents(await response.text());
}

/** The same of a stream's text. */
export function namedEvents(text: string): { name: string; data: Json }[] {
  const blocks = text.split("\n\n");
  assert.equal(blocks.pop(), "", "The stream ends with a blank line");
  return blocks.filter((block) => !block.startsWith(":")).map((block) => {
    const [, name, data] = /^event: ([a-z_.]+)\ndata: ([^\n\r]*)$/.exec(block) ?? assert.fail(`No event: ${block}`);
    return { name: String(name), data: JSON.parse(String(data)) };
  });
}

async function failureText(response: Response): Promise<string> {
  return response.headers.get("content-type") === "text/event-stream" ? "" : await response.clone().text();
}
