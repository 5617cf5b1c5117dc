import type { FlagSpec, ParsedArgs } from "@ark/node/config";
import type { Output } from "./output.ts";

/** Exit statuses of the command line; a contract, since scripts rely on it. */
export const EXIT = {
  /** It worked. */
  ok: 0,
  /** It failed, and one sentence on standard error says why. */
  failed: 1,
  /** The command line cannot be understood. */
  usage: 2,
  /** There is no running node to ask. */
  notRunning: 3,
  /** Ctrl-C ended it (128 and the number of the signal, as shells count). */
  interrupted: 130,
  /** The node refuses to start as its key or its environment is (`EX_CONFIG`). */
  config: 78,
} as const;

/** What a command is given. */
export interface CommandContext {
  /** Words after the command's name. */
  words: string[];
  /** Flags by name. */
  flags: ParsedArgs["flags"];
  /** Whether the result is to be JSON. */
  json: boolean;
  /** Reads the environment. */
  env(name: string): string | undefined;
  /** Where results and messages go. */
  out: Output;
  /** What a person types. */
  input: CommandInput;
  /** Version of the program. */
  version: string;
}

/** Where answers to questions come from. */
export interface CommandInput {
  /** What is typed, as UTF-8. */
  readonly readable: ReadableStream<Uint8Array>;
  /** Whether a person types it. */
  isTerminal(): boolean;
  /** Whether each key is told at once, and none of them shown. Absent where no terminal is. */
  setRaw?(on: boolean): void;
}

/** What is to be known of a command without running it. */
export interface CommandOutline {
  /** Its words, such as `peers approve`. */
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What stands after the name, such as `KEY|ID`. */
  readonly usage: string;
  /** Its flags, beside `--help`, `--json` and `--data`. */
  readonly flags: Record<string, FlagSpec>;
  /** More for its own help, as whole lines. */
  readonly details?: string;
  /** How it looks in use, for its help; else that of `EXAMPLES`. */
  readonly example?: string;
  /** Whether the list of commands leaves it out. */
  readonly hidden?: boolean;
}

/** One command of the command line. */
export interface Command extends CommandOutline {
  /** Does it, and returns an exit status. A thrown error becomes one sentence. */
  run(context: CommandContext): Promise<number>;
}

/** A command was called wrongly. The message is one sentence. */
export class UsageError extends Error {
  /** Always `"UsageError"`. */
  override readonly name = "UsageError";
}

/** Something a command wanted did not work. The message is one sentence. */
export class CommandError extends Error {
  /** Always `"CommandError"`. */
  override readonly name = "CommandError";
  /** Exit status. */
  readonly exitCode: number;

  /** Makes an error with a sentence and an exit status. */
  constructor(message: string, exitCode: number = EXIT.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** A flag's text, or undefined when it was not given. */
export function textFlag(flags: ParsedArgs["flags"], name: string): string | undefined {
  const value = flags[name];
  return typeof value === "string" ? value : undefined;
}
