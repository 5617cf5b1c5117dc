import type { FlagSpec } from "@ark/node/config";
import type { CommandOutline } from "./command.ts";
import { groupsOf } from "./command_groups.ts";
import { EXAMPLES } from "./examples.ts";
import { reflow, twoColumns } from "./reflow.ts";

/** Flags of every command. */
export const COMMON_FLAGS: Record<string, FlagSpec> = {
  data: { value: "DIR", help: "data directory of the node (default: $ARK_DATA, else the platform's)" },
  json: { help: "print JSON" },
  help: { short: "h", help: "show this help" },
};

const EXITS =
  `Exit status: 0 it worked, 1 it failed, 2 the command line is wrong, 3 no node is running, 78 the node refuses
its key file or its environment, 130 Ctrl-C ended it.`;

/** Under which heading the list of commands has those that begin with a word. */
const HEADINGS: readonly (readonly [heading: string, words: readonly string[]])[] = [
  ["This node", ["serve", "status", "top", "ui", "doctor", "config", "service", "id"]],
  ["Neighbours", ["peers", "invite", "invites", "wg", "registry"]],
  ["Models and questions", ["models", "ask", "why", "grid", "requests"]],
  ["Your apps, and the record", ["keys", "audit"]],
];
const OTHERS = "More";

/** Names are no wider in lists, in columns. */
const MOST_NAME = 30;
const MOST_FLAG = 26;

/** The help of the program. */
export function programHelp(commands: readonly CommandOutline[], version: string): string {
  const shown = commands.filter(({ hidden }) => !hidden);
  const headingOf = ({ name }: CommandOutline) =>
    HEADINGS.find(([, words]) => words.includes(name.split(" ")[0] ?? ""))?.[0] ?? OTHERS;
  const sections = [...HEADINGS.map(([heading]) => heading), OTHERS].flatMap((heading) => {
    const members = shown.filter((command) => headingOf(command) === heading);
    return members.length === 0 ? [] : [`${heading}:\n${listOf(members)}`];
  });
  return `ark-node ${version}: your machines, and those of people you trust, answer each
other's questions.

Usage: ark-node [COMMAND] [FLAGS]

${sections.join("\n\n")}

A first node:        ark-node --models ~/models
Its API:             http://127.0.0.1:8910/v1 (OpenAI's, any key)
Who is near:         ark-node peers discovered
Pair with one:       ark-node peers pair ID
Somebody far away:   ark-node invite
Ask:                 ark-node ask MODEL "Your question"

${
    reflow(
      `Every command has --help and --json, and 'ark-node help COMMAND' is the same. Each flag of serve is also a variable: --mesh-listen is ARK_MESH_LISTEN. Groups: ${
        groupsOf(commands).join(", ")
      }.`,
    )
  }
${reflow(EXITS)}
`;
}

/** The help of one command. `more` are commands whose names begin with its own. */
export function commandHelp(command: CommandOutline, more: readonly CommandOutline[] = []): string {
  const flags = Object.entries({ ...command.flags, ...COMMON_FLAGS });
  const rows = flags.map(([name, { value, short, help }]) =>
    [`${short ? `-${short}, ` : ""}--${name}${value ? ` ${value}` : ""}`, help] as const
  );
  const details = command.details === undefined ? "" : `\n${reflow(command.details)}\n`;
  const example = command.example ?? EXAMPLES[command.name];
  return `${command.summary}.

Usage: ark-node ${[command.name, command.usage, "[FLAGS]"].filter(Boolean).join(" ")}
${example === undefined ? "" : `Example: ${example}\n`}${details}
Flags:
${twoColumns(rows, { most: MOST_FLAG })}
${more.length === 0 ? "" : `\nSee also:\n${listOf(more)}\n`}`;
}

/** The help of a group such as `peers`. */
export function groupHelp(group: string, commands: readonly CommandOutline[]): string {
  const [first] = commands;
  const example = first === undefined ? undefined : first.example ?? EXAMPLES[first.name];
  return `Usage: ark-node ${group} COMMAND [FLAGS]
${example === undefined ? "" : `Example: ${example}\n`}
Commands:
${listOf(commands)}

Each has --help and --json.
`;
}

function listOf(commands: readonly CommandOutline[]): string {
  return twoColumns(commands.map(({ name, usage, summary }) => [`${name} ${usage}`.trim(), summary]), {
    most: MOST_NAME,
  });
}
