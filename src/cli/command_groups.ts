import type { CommandOutline } from "./command.ts";

/** What a group does without a further word, where that is not its `list`. */
const STANDARD: Readonly<Record<string, string>> = { audit: "audit tail" };

/** Groups such as `peers`: first words of commands of two words that are no commands themselves. */
export function groupsOf(commands: readonly CommandOutline[]): string[] {
  const words = commands.map(({ name }) => name.split(" "));
  const alone = new Set(words.filter(({ length }) => length === 1).map(([first]) => first));
  return [...new Set(words.filter(({ length }) => length > 1).map(([first = ""]) => first))]
    .filter((group) => !alone.has(group));
}

/** Commands whose names begin with a word. */
export function membersOf<T extends CommandOutline>(commands: readonly T[], word: string): T[] {
  return commands.filter(({ name, hidden }) => name.startsWith(`${word} `) && !hidden);
}

/** What a group does without a further word; undefined where it needs one. */
export function standardOf<T extends CommandOutline>(commands: readonly T[], group: string): T | undefined {
  return commands.find(({ name }) => name === (STANDARD[group] ?? `${group} list`));
}
