import { ConfigError, nearest, parseFlags } from "@ark/node/config";
import { StartError } from "@ark/node/daemon";
import { type Command, CommandError, type CommandInput, EXIT, UsageError } from "./command.ts";
import { COMMANDS } from "./commands/mod.ts";
import { commandHelp, COMMON_FLAGS, groupHelp, programHelp } from "./help.ts";
import { coloursWanted } from "./paint.ts";
import { Output, type OutputStreams } from "./output.ts";

/** What {@linkcode main} takes from its process. */
export interface MainOptions {
  /** Version of the program. */
  version: string;
  /** Reads the environment. */
  env?: (name: string) => string | undefined;
  /** Where it writes; the default is the process's own output. */
  streams?: OutputStreams;
  /** Where answers to questions come from; the default is the process's own input. */
  input?: CommandInput;
}

const GROUPS = new Map<string, string>([
  ["peers", "peers list"],
  ["invites", "invites list"],
  ["keys", "keys list"],
  ["models", "models list"],
  ["audit", "audit tail"],
]);

/** Runs a command line, and returns the exit status. What fails is one sentence on standard error. */
export async function main(args: readonly string[], options: MainOptions): Promise<number> {
  const { version, env = (name) => Deno.env.get(name) } = options;
  const out = new Output(options.streams, { colours: coloursWanted(env), cursor: env("TERM") !== "dumb" });
  const input = options.input ?? Deno.stdin;
  try {
    const [first = "", second = ""] = args;
    if (first === "--version" || first === "version") return said(out, `ark-node ${version}`);
    if (first === "help" || ((first === "--help" || first === "-h") && args.length === 1)) {
      return said(out, programHelp(COMMANDS, version).trimEnd());
    }
    if (GROUPS.has(first) && (second === "--help" || second === "-h")) {
      return said(out, groupHelp(first, group(first)).trimEnd());
    }
    const { command, rest } = commandOf(args);
    const { flags, words } = parseFlags(rest, { ...command.flags, ...COMMON_FLAGS });
    if (flags.help === true) return said(out, commandHelp(command).trimEnd());
    return await command.run({ words, flags, json: flags.json === true, env, out, input, version });
  } catch (error) {
    return failed(error, { out, json: args.includes("--json") });
  }
}

function commandOf(args: readonly string[]): { command: Command; rest: string[] } {
  const [first = "", second = ""] = args;
  if (first === "" || first.startsWith("-")) return { command: named("serve"), rest: [...args] };
  const two = COMMANDS.find(({ name }) => name === `${first} ${second}`);
  if (two !== undefined) return { command: two, rest: args.slice(2) };
  const one = COMMANDS.find(({ name }) => name === first);
  if (one !== undefined) return { command: one, rest: args.slice(1) };
  const standard = GROUPS.get(first);
  if (standard !== undefined) {
    if (second === "" || second.startsWith("-")) return { command: named(standard), rest: args.slice(1) };
    const known = group(first).map(({ name }) => name.slice(first.length + 1));
    throw new UsageError(
      `There is no command ${first} ${second}${guess(second, known, `${first} `)}: see ark-node ${first} --help`,
    );
  }
  const known = [...new Set(COMMANDS.filter(({ hidden }) => !hidden).map(({ name }) => name.split(" ")[0] ?? ""))];
  throw new UsageError(`There is no command ${first}${guess(first, known, "")}: see ark-node --help`);
}

function guess(word: string, known: readonly string[], before: string): string {
  const near = nearest(word, known);
  return near === null ? "" : `, did you mean ${before}${near}`;
}

function named(name: string): Command {
  const command = COMMANDS.find((one) => one.name === name);
  if (command === undefined) throw new TypeError(`There is no command ${name}`);
  return command;
}

function group(name: string): Command[] {
  return COMMANDS.filter((command) => command.name.startsWith(`${name} `));
}

function said(out: Output, text: string): number {
  out.line(text);
  return EXIT.ok;
}

function failed(error: unknown, { out, json }: { out: Output; json: boolean }): number {
  const [message, exitCode] = explained(error);
  if (json) out.json({ error: { message, exit_code: exitCode } });
  out.note(`ark-node: ${message}`);
  return exitCode;
}

function explained(error: unknown): [string, number] {
  if (error instanceof UsageError || error instanceof ConfigError) return [error.message, EXIT.usage];
  if (error instanceof CommandError || error instanceof StartError) return [error.message, error.exitCode];
  const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return [`The command failed in a way that it should not (${reason}): please report it`, EXIT.failed];
}
