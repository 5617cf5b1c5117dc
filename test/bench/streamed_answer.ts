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
  /** Between a piece of text and the one before, in milliseconds; of those that arrive together only the first has any. */
  gapsMs: number[];
  /** Of a fake engine that is asked for `#stamp`: how long each piece was on its way, in milliseconds. */
  onTheWayMs: number[];
}

const DECODER = new TextDecoder();

/** Asks for a streamed chat completion, and times it as a client sees it. */
export async function streamedAnswer(
  api: string,
  { prompt = "one two three", ...body }: Record<string, unknown>,
): Promise<StreamedAnswer> {
  const began = performance.now();
  const response = await fetch(`${api}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ messages: [{ role: "user", content: prompt }], ...body, stream: true }),
  });
  if (!response.ok || response.body === null) throw new Error(`Refused: ${await response.text()}`);
  const [gapsMs, onTheWayMs]: number[][] = [[], []];
  let [first, last, pieces, rest] = [0, 0, 0, ""];
  for await (const chunk of response.body) {
    const now = performance.now();
    const lines = (rest + DECODER.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const text = /"content":"([^"]+)/.exec(line)?.[1];
      if (text === undefined) continue;
      if (pieces++ > 0) gapsMs?.push(now - last);
      last = now;
      first ||= last;
      // Tokens that wait for their reader become one piece.
      for (const stamp of text.trim().split(" ").map(Number)) {
        if (stamp > 0) onTheWayMs?.push(performance.timeOrigin + now - stamp);
      }
    }
  }
  const ended = performance.now();
  return {
    firstMs: first - began,
    totalMs: ended - began,
    writingMs: last - first,
    pieces,
    gapsMs: gapsMs ?? [],
    onTheWayMs: onTheWayMs ?? [],
  };
}
