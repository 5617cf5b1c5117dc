import type { FlagSpec } from "@ark/node/config";
import type { CommandOutline } from "../command.ts";
import { groupsOf, standardOf } from "../command_groups.ts";
import { COMMON_FLAGS } from "../help.ts";

/** What can stand at a place: values that the running node knows, or files; null where nobody knows. */
export type ValueKind = typeof NODE_VALUES[number] | "files" | "directories";

/** Kinds of values that the running node is asked for. */
export const NODE_VALUES = ["models", "peers", "nodes", "keys", "invites", "requests"] as const;

/** A flag as a shell completes it. */
export interface FlagCompletion {
  /** `--name`. */
  readonly name: string;
  /** `-n`, or null. */
  readonly short: string | null;
  /** Whether a value follows. */
  readonly valued: boolean;
  /** What the value can be, or null. */
  readonly kind: ValueKind | null;
  /** What it is for. */
  readonly help: string;
}

/** A command as a shell completes it. */
export interface CommandCompletion {
  /** Its words. */
  readonly name: string;
  /** The group that does this without a further word, or null. */
  readonly group: string | null;
  /** What it does. */
  readonly summary: string;
  /** Its flags. */
  readonly flags: readonly FlagCompletion[];
  /** What can stand at each place after its name. */
  readonly places: readonly (ValueKind | null)[];
}

/** A first word. */
export interface FirstWord {
  /** The word. */
  readonly word: string;
  /** What it does. */
  readonly summary: string;
}

/** Everything that the scripts of the shells are made of. */
export interface CompletionSpec {
  /** Commands that are shown. */
  readonly commands: readonly CommandCompletion[];
  /** Groups, such as `peers`. */
  readonly groups: readonly string[];
  /** What can stand after the program's name. */
  readonly firstWords: readonly FirstWord[];
}

/** What stands for a value in a usage, or after a flag. */
const KINDS: Readonly<Record<string, ValueKind>> = {
  "MODEL": "models",
  "PEER": "peers",
  "KEY|ID|NAME": "peers",
  "ID|NAME": "peers",
  "NAME|ID": "peers",
  "KEY|ID": "nodes",
  "HOST:PORT|ID": "nodes",
  "DIR": "directories",
  "FILE": "files",
};

/** Where a name is one of something else. */
const OWN_KINDS: Readonly<Record<string, ValueKind>> = {
  "peers approve KEY|ID|NAME": "nodes",
  "keys revoke NAME|ID": "keys",
  "invites revoke NAME": "invites",
  "requests ID": "requests",
};

/** Gathers what the shells need from the commands themselves. */
export function completionSpec(commands: readonly CommandOutline[]): CompletionSpec {
  const shown = commands.filter(({ hidden }) => !hidden);
  const groups = groupsOf(shown);
  const words = new Map<string, string>();
  for (const { name, summary } of shown) {
    const [word = "", second] = name.split(" ");
    if (second === undefined) words.set(word, summary);
    else if (!words.has(word)) words.set(word, `see ark-node ${word} --help`);
  }
  words.set("help", "show the help of a command");
  return {
    groups,
    firstWords: [...words].map(([word, summary]) => ({ word, summary })),
    commands: shown.map(({ name, summary, usage, flags }) => ({
      name,
      group: groups.find((group) => standardOf(shown, group)?.name === name) ?? null,
      summary,
      flags: Object.entries({ ...flags, ...COMMON_FLAGS }).map(flagOf),
      places: usage.split(" ").filter(Boolean).map((place) => kindOf(name, place.replaceAll(/[[\]…]/g, ""))),
    })),
  };
}

function flagOf([name, { value, short, help }]: [string, FlagSpec]): FlagCompletion {
  return {
    name: `--${name}`,
    short: short === undefined ? null : `-${short}`,
    valued: value !== undefined,
    kind: value === undefined ? null : KINDS[value] ?? null,
    help,
  };
}

function kindOf(command: string, place: string): ValueKind | null {
  return OWN_KINDS[`${command} ${place}`] ?? KINDS[place] ?? null;
}
