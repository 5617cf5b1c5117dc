import type { FlagSpec } from "@ark/node/config";
import type { Command } from "./command.ts";

/** Flags of every command. */
export const COMMON_FLAGS: Record<string, FlagSpec> = {
  data: { value: "DIR", help: "data directory of the node (default: $ARK_DATA, else the platform's)" },
  json: { help: "print JSON" },
  help: { short: "h", help: "show this help" },
};

const EXITS = `Exit status: 0 it worked, 1 it failed, 2 the command line is wrong, 3 no node is running,
78 the node refuses its key file or its environment.`;

/** The help of the program. */
export function programHelp(commands: readonly Command[], version: string): string {
  const shown = commands.filter(({ hidden }) => !hidden);
  return `ark-node ${version}: your machines, and those of people you trust, answer each other's questions.

Usage: ark-node [COMMAND] [FLAGS]

Commands:
${columns(shown.map(({ name, usage, summary }) => [`${name} ${usage}`.trim(), summary]))}

A first node:        ark-node --models ~/models
Its API:             http://127.0.0.1:8910/v1   (OpenAI's; any key on this machine)
Who is near:         ark-node peers discovered
Pair with one:       ark-node peers pair ID
Somebody far away:   ark-node invite
Ask:                 ark-node ask MODEL "Your question"

Every command has --help and --json. Each flag of serve is also a variable: --mesh-listen is ARK_MESH_LISTEN.
${EXITS}
`;
}

/** The help of one command. */
export function commandHelp(command: Command): string {
  const flags = Object.entries({ ...command.flags, ...COMMON_FLAGS });
  const rows = flags.map(([name, { value, short, help }]) => [
    `${short ? `-${short}, ` : ""}--${name}${value ? ` ${value}` : ""}`,
    help,
  ]);
  const details = command.details === undefined ? "" : `\n${command.details.trim()}\n`;
  return `${command.summary}.

Usage: ark-node ${[command.name, command.usage, "[FLAGS]"].filter(Boolean).join(" ")}
${details}
Flags:
${columns(rows)}
`;
}

/** The help of a group such as `peers`. */
export function groupHelp(group: string, commands: readonly Command[]): string {
  const rows = commands.map(({ name, usage, summary }) => [`${name} ${usage}`.trim(), summary]);
  return `Usage: ark-node ${group} COMMAND [FLAGS]

Commands:
${columns(rows)}

Each has --help and --json.
`;
}

function columns(rows: readonly (readonly string[])[]): string {
  const width = Math.min(34, Math.max(...rows.map(([left = ""]) => left.length)));
  return rows.map(([left = "", right = ""]) =>
    left.length > width ? `  ${left}\n  ${" ".repeat(width)}  ${right}` : `  ${left.padEnd(width)}  ${right}`
  ).join("\n");
}
