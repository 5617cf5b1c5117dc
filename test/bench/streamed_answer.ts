/** What one streamed answer took. */
export interface StreamedAnswer {
  /** Until the first text, in milliseconds. */
  firstMs: number;
  /** Until the end of the stream, in milliseconds. */
  totalMs: number;
  /** From the first text to the last, in milliseconds. */
  writingMs: number;
  /** Pieces of text. */
  pieces: number;
}

const DECODER = new TextDecoder();

/** Asks for a streamed chat completion, and times it as a client sees it. */
export async function streamedAnswer(api: string, body: Record<string, unknown>): Promise<StreamedAnswer> {
  const began = performance.now();
  const response = await fetch(`${api}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ messages: [{ role: "user", content: "one two three" }], ...body, stream: true }),
  });
  if (!response.ok || response.body === null) throw new Error(`Refused: ${await response.text()}`);
  let [first, last, pieces, rest] = [0, 0, 0, ""];
  for await (const chunk of response.body) {
    const lines = (rest + DECODER.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    const texts = lines.filter((line) => /"content":"[^"]/.test(line)).length;
    if (texts === 0) continue;
    last = performance.now();
    first ||= last;
    pieces += texts;
  }
  return { firstMs: first - began, totalMs: performance.now() - began, writingMs: last - first, pieces };
}
