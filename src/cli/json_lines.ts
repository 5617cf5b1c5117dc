import { CommandError } from "./command.ts";

/** Reads the lines of a stream as JSON. Throws when it breaks off. */
export async function* jsonLines<T>(body: ReadableStream<Uint8Array> | null): AsyncGenerator<T> {
  let rest = "";
  const texts = (body ?? ReadableStream.from([])).pipeThrough(
    new TextDecoderStream() as TransformStream<Uint8Array, string>,
  );
  try {
    for await (const text of texts) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line !== "") yield JSON.parse(line);
    }
  } catch (error) {
    if (!(error instanceof TypeError) && !(error instanceof SyntaxError)) throw error;
    throw new CommandError("The answer broke off: the node went away; call it again");
  }
}
