import type { CommandOutline } from "./command.ts";
import { groupsOf, membersOf } from "./command_groups.ts";
import { completionScript } from "./completion/scripts.ts";
import { NODE_VALUES } from "./completion/spec.ts";
import { completionValues } from "./completion/values.ts";
import { commandHelp, groupHelp, programHelp } from "./help.ts";

/** What {@linkcode quickAnswer} goes by. */
export interface QuickOptions {
  /** Version of the program. */
  version: string;
  /** What is known of the commands that are shown. */
  commands: readonly CommandOutline[];
  /** Makes an admin call of the node of a data directory, or of the usual one. */
  ask<T>(path: string, data: string | undefined): Promise<T>;
}

/**
 * What can be said without the rest of the program: its version, helps, the scripts for shells, and what those ask. Returns
 * the text, which may be empty, or null where the whole program is needed, which then also says what is wrong.
 */
export async function quickAnswer(args: readonly string[], options: QuickOptions): Promise<string | null> {
  const { version, commands } = options;
  const [first = "", second = ""] = args;
  if (args.length === 1 && ["--version", "-V", "version"].includes(first)) return `ark-node ${version}\n`;
  if (args.length === 1 && ["--help", "-h", "help"].includes(first)) return programHelp(commands, version);
  if (first === "__complete") return await values(args, options);
  if (first === "completion" && args.length === 2) {
    const script = completionScript(second, commands);
    if (script !== null) return `${script}\n`;
  }
  return helpOf(args, commands);
}

/** The help of exactly one command or group. */
function helpOf(args: readonly string[], commands: readonly CommandOutline[]): string | null {
  const last = args.at(-1) ?? "";
  const asked = args[0] === "help"
    ? args.slice(1)
    : last === "--help" || last === "-h" || (last === "help" && args.length === 2)
    ? args.slice(0, -1)
    : null;
  if (asked === null) return null;
  const name = asked.join(" ");
  const command = commands.find((one) => one.name === name);
  // 'serve help' is a slip that the whole program knows about.
  if (command !== undefined && last !== "help") return commandHelp(command, membersOf(commands, name));
  return groupsOf(commands).includes(name) ? groupHelp(name, membersOf(commands, name)) : null;
}

async function values(args: readonly string[], { ask }: QuickOptions): Promise<string> {
  const [, asked, ...rest] = args;
  const kind = NODE_VALUES.find((one) => one === asked);
  const at = rest.indexOf("--data");
  const data = at < 0 ? rest.find((one) => one.startsWith("--data="))?.slice("--data=".length) : rest[at + 1];
  if (kind === undefined) return "";
  try {
    return (await completionValues(kind, (path) => ask(path, data))).map((value) => `${value}\n`).join("");
  } catch {
    // No node, no answer in time: there is nothing to complete.
    return "";
  }
}
