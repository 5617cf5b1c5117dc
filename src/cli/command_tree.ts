import { nearest } from "@ark/node/config";
import { type Command, UsageError } from "./command.ts";
import { groupsOf, membersOf, standardOf } from "./command_groups.ts";

/** What a command line is about. */
export type Found =
  | { readonly kind: "command"; readonly command: Command; readonly rest: string[] }
  | { readonly kind: "group"; readonly group: string };

/**
 * Finds the command of a command line; without one it is `serve`.
 *
 * @throws {UsageError} with the nearest command, where there is none.
 */
export function findCommand(args: readonly string[], commands: readonly Command[]): Found {
  const [first = "", second = ""] = args;
  const named = (name: string) => commands.find((one) => one.name === name);
  if (first === "" || first.startsWith("-")) return found(named("serve"), args);
  const two = named(`${first} ${second}`);
  if (two !== undefined) return found(two, args.slice(2));
  const one = named(first);
  if (one !== undefined) return found(one, args.slice(1));
  const groups = groupsOf(commands);
  if (!groups.includes(first)) throw unknown(first, commands, groups);
  if (second === "--help" || second === "-h" || second === "help") return { kind: "group", group: first };
  const members = membersOf(commands, first);
  if (second === "" || second.startsWith("-")) {
    const standard = standardOf(commands, first);
    if (standard !== undefined) return found(standard, args.slice(1));
    const choices = members.map(({ name }) => `ark-node ${name}`).join(" or ");
    throw new UsageError(`Say what to do: ${choices}; see ark-node ${first} --help`);
  }
  const near = nearest(second, members.map(({ name }) => name.slice(first.length + 1)));
  throw new UsageError(
    `There is no command ${first} ${second}${near === null ? "" : `, did you mean ${first} ${near}`}: ` +
      `see ark-node ${first} --help`,
  );
}

function found(command: Command | undefined, rest: readonly string[]): Found {
  if (command === undefined) throw new TypeError("There is no such command");
  return { kind: "command", command, rest: [...rest] };
}

function unknown(word: string, commands: readonly Command[], groups: readonly string[]): UsageError {
  const shown = commands.filter(({ hidden }) => !hidden).map(({ name }) => name);
  // 'ark-node approve' is 'ark-node peers approve'.
  const inGroup = shown.filter((name) => name.endsWith(` ${word}`));
  const near = inGroup.length > 0 ? null : nearest(word, [...groups, ...shown.filter((name) => !name.includes(" "))]);
  const guess = inGroup.length > 0 && inGroup.length <= 3 ? inGroup.join(" or ") : near;
  return new UsageError(
    `There is no command ${word}${guess === null ? "" : `, did you mean ${guess}`}: see ark-node --help`,
  );
}
