import { reasonOf } from "@ark/node/protocol";
import { parseArgs } from "node:util";
import { ConfigError } from "./config_error.ts";

/** One flag of a command, as `--help` shows it. */
export interface FlagSpec {
  /** What stands after the name in the help: `HOST:PORT`. Absent for a switch. */
  value?: string;
  /** Whether it may be given more than once. */
  multiple?: true;
  /** One-letter form. */
  short?: string;
  /** One line for the help. */
  help: string;
}

/** What was on a command line: texts, switches and lists by flag name, and the words that are no flags. */
export interface ParsedArgs {
  /** Value of each flag that was given. */
  flags: Record<string, string | boolean | string[]>;
  /** Words in order. */
  words: string[];
}

/**
 * Reads a command line against the flags that a command knows. `--no-mdns` is a flag of its own name.
 *
 * @throws {ConfigError} for a flag that is unknown or lacks its value, with the nearest known flag where there is one.
 */
export function parseFlags(args: string[], specs: Record<string, FlagSpec>): ParsedArgs {
  const options: Record<string, { type: "string" | "boolean"; multiple?: boolean; short?: string }> = {};
  for (const [name, spec] of Object.entries(specs)) {
    options[name] = {
      type: spec.value === undefined ? "boolean" : "string",
      ...(spec.multiple ? { multiple: true } : {}),
      ...(spec.short ? { short: spec.short } : {}),
    };
  }
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true, strict: true });
    return { flags: { ...values } as ParsedArgs["flags"], words: positionals };
  } catch (error) {
    throw new ConfigError(explain(error, args, Object.keys(specs)));
  }
}

function explain(error: unknown, args: string[], known: string[]): string {
  const code = (error as { code?: string }).code;
  const message = reasonOf(error);
  // Where a flag has a short form, the message names both: '-d, --data <value>'.
  const name = message.match(/'(?:-\w, )?(-[^'\s]*)/)?.[1] ?? args.find((arg) => arg.startsWith("-")) ?? "";
  if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") {
    const near = nearest(name.replace(/^-+/, "").split("=")[0] ?? "", known);
    return `Unknown flag ${name}${near === null ? "" : `, did you mean --${near}`}: see --help`;
  }
  if (code === "ERR_PARSE_ARGS_INVALID_OPTION_VALUE") {
    return `Flag ${name} ${/does not take/.test(message) ? "takes no value" : "needs a value"}: see --help`;
  }
  return `Cannot read the command line: ${message.split("\n")[0]}`;
}

/** The known word within two edits of a mistyped one, or null. */
export function nearest(word: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let least = 3;
  for (const candidate of known) {
    const distance = editDistance(word, candidate);
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, swap));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
