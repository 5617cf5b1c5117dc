import type { CommandInput } from "./command.ts";

/** Lines that a person types, one at a time. Reading begins with the first question. */
export class TypedLines {
  readonly #input: CommandInput;
  #lines: AsyncIterator<string> | null = null;

  /** Reads from an input. */
  constructor(input: CommandInput) {
    this.#input = input;
  }

  /** The next line without white space around it; null when there will be none. */
  async next(): Promise<string | null> {
    this.#lines ??= linesOf(this.#input.readable);
    const { done, value } = await this.#lines.next();
    return done ? null : value;
  }
}

async function* linesOf(readable: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of readable) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield line.trim();
  }
  if (rest.trim() !== "") yield rest.trim();
}
