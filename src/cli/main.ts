import { ConfigError, parseFlags } from "@ark/node/config";
import { StartError } from "@ark/node/daemon";
import { CommandError, type CommandInput, EXIT, UsageError } from "./command.ts";
import { membersOf } from "./command_groups.ts";
import { findCommand } from "./command_tree.ts";
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

/** Runs a command line, and returns the exit status. What fails is one sentence on standard error. */
export async function main(args: readonly string[], options: MainOptions): Promise<number> {
  const { version, env = (name) => Deno.env.get(name) } = options;
  const out = new Output(options.streams, { colours: coloursWanted(env), cursor: env("TERM") !== "dumb" });
  const input = options.input ?? Deno.stdin;
  let asked = "ark-node";
  try {
    const [first = ""] = args;
    if (first === "--version" || first === "version" || first === "-V") return said(out, `ark-node ${version}`);
    if (first === "help" && args.length > 1) return await main([...args.slice(1), "--help"], options);
    if (first === "help" || ((first === "--help" || first === "-h") && args.length === 1)) {
      return said(out, programHelp(COMMANDS, version).trimEnd());
    }
    const found = findCommand(args, COMMANDS);
    if (found.kind === "group") return said(out, groupHelp(found.group, membersOf(COMMANDS, found.group)).trimEnd());
    const { command, rest } = found;
    asked = `ark-node ${command.name}`;
    const { flags, words } = parseFlags(rest, { ...command.flags, ...COMMON_FLAGS });
    if (flags.help === true) return said(out, commandHelp(command, membersOf(COMMANDS, command.name)).trimEnd());
    return await command.run({ words, flags, json: flags.json === true, env, out, input, version });
  } catch (error) {
    return failed(error, { out, asked, json: args.includes("--json") });
  }
}

function said(out: Output, text: string): number {
  out.line(text);
  return EXIT.ok;
}

function failed(error: unknown, { out, asked, json }: { out: Output; asked: string; json: boolean }): number {
  const [sentence, exitCode] = explained(error);
  const message = sentence.replace(/: see --help$/, `: see ${asked} --help`);
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
