import { CommandError } from "./command.ts";

/** Reads the `data:` lines of a stream of server-sent events as JSON, up to `[DONE]`. Throws when it ends before. */
export async function* sseData<T>(body: ReadableStream<Uint8Array>): AsyncGenerator<T> {
  let rest = "";
  for await (const text of textsOf(body)) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (!line.startsWith("data: ")) continue;
      const data = line.slice("data: ".length).trim();
      if (data === "[DONE]") return;
      const value = JSON.parse(data) as T;
      yield value;
      if (typeof value === "object" && value !== null && "error" in value) return;
    }
  }
  throw brokenOff();
}

async function* textsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  try {
    yield* body.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>);
  } catch (error) {
    // What a connection says that breaks; an abort is no TypeError.
    throw error instanceof TypeError ? brokenOff() : error;
  }
}

function brokenOff(): CommandError {
  return new CommandError("The answer broke off: the node went away; ask again");
}
