import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { CommandInput } from "./command.ts";
import { TypedLines } from "./typed_lines.ts";

/**
 * Lines that a person types at a program that goes on meanwhile. Only the newest question gets an answer: what an earlier
 * one asked may have been decided elsewhere. Where nobody types any more, the question stays open.
 */
export class TerminalLines {
  readonly #typed: TypedLines;
  #reading = false;
  #answer: ((line: string) => void) | null = null;

  /** Reads from an input, from the first question on. */
  constructor(input: CommandInput) {
    this.#typed = new TypedLines(input);
  }

  /** The next line without white space around it. */
  next(): Promise<string | null> {
    if (!this.#reading) {
      this.#reading = true;
      // A terminal that is gone, or not ours any more, asks nobody.
      this.#read().catch(() => {});
    }
    return new Promise((resolve) => this.#answer = resolve);
  }

  /** Nothing is asked any more. */
  drop(): void {
    this.#answer = null;
  }

  async #read(): Promise<void> {
    for (;;) {
      const line = await this.#typed.next();
      if (line === null) return;
      const answer = this.#answer;
      this.#answer = null;
      answer?.(line);
    }
  }
}

/**
 * Whether a question at this terminal is safe. A system stops a program in the background that reads from its terminal,
 * and then whoever wants to pair could stop the node of `ark-node &`.
 */
export function mayAskAtTerminal(): boolean {
  if (Deno.build.os === "windows") return true;
  try {
    // The launcher has the system not stop it.
    if (statSync(join(dirname(Deno.execPath()), "ark-node-worker")).isFile()) return true;
  } catch {
    // From source.
  }
  try {
    const stat = Deno.readTextFileSync("/proc/self/stat");
    // After the name, in brackets, which may hold anything: state, parent, group, session, terminal, its group.
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return group !== undefined && group === foreground;
  } catch {
    return false;
  }
}
