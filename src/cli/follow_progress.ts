import type { PullLine } from "@ark/node/http";
import { CommandError } from "./command.ts";
import { jsonLines } from "./json_lines.ts";
import type { Output } from "./output.ts";
import { PullDisplay } from "./pull_display.ts";

/**
 * Shows how far the node is with a model, line by line or as JSON, until it is done.
 *
 * @throws {CommandError} with the node's own sentence, or where it went away.
 */
export async function followProgress(
  body: ReadableStream<Uint8Array> | null,
  { out, json, what }: { out: Output; json: boolean; what: string },
): Promise<void> {
  const display = new PullDisplay(out);
  let done = false;
  try {
    for await (const line of jsonLines<PullLine>(body)) {
      if ("error" in line) throw new CommandError(line.error.message);
      done = line.status === "success";
      if (json) out.line(JSON.stringify(line));
      else display.show(line);
    }
  } finally {
    display.end();
  }
  if (!done) throw new CommandError(`The ${what} broke off: the node went away; the same command goes on from there`);
}
