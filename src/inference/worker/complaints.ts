import { reasonOf } from "@ark/node/protocol";
import type { EngineLoad } from "./engine.ts";
import { logLine } from "./log.ts";

/** Writes down what llama.cpp says, and remembers why it could not load: what it throws does not tell. */
export class Complaints {
  #last: string | undefined;

  /** Takes a message. */
  hear(level: string, message: string): void {
    logLine(`llama.cpp ${level}: ${message}`);
    const [, reason] = /error loading model: (.+)/.exec(message) ?? [];
    if (reason !== undefined) this.#last = reason.replace(/^error loading model \w+: /, "");
  }

  /** One sentence without the file's place, since it may be read by a peer. */
  reason(error: unknown, { path, gpu }: Pick<EngineLoad, "path" | "gpu">): string {
    if (error instanceof Deno.errors.NotFound) return "its file is not there any more";
    const thrown = reasonOf(error);
    if (thrown.includes("NoBinaryFound")) return `no build of llama.cpp for the choice of GPU "${gpu}" works here`;
    return (this.#last ?? thrown).replaceAll(path, "the file");
  }
}
