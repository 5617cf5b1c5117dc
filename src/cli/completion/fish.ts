import type { CommandCompletion, CompletionSpec, ValueKind } from "./spec.ts";

/** The script for fish. */
export function fishScript({ commands, groups, firstWords }: CompletionSpec): string {
  const lines = [
    ...firstWords.map(({ word, summary }) =>
      `complete -c ark-node -n __ark_node_first -a ${word} -d ${quoted(summary)}`
    ),
    ...firstWords.map(({ word }) => `complete -c ark-node -n '__ark_node_in help' -a ${word}`),
    ...commands.filter(({ name }) => groups.includes(groupOf(name))).map(({ name, summary }) =>
      `complete -c ark-node -n '__ark_node_in ${groupOf(name)}' -a ${name.slice(groupOf(name).length + 1)} -d ${
        quoted(summary)
      }`
    ),
    ...commands.flatMap(linesOf),
  ];
  return `# ark-node for fish: ark-node completion fish | source
# Made by ark-node itself; make it anew after an upgrade.

function __ark_node_first
    test (count (commandline -opc)) -eq 1
end

function __ark_node_in
    set -l words (commandline -opc)
    test (count $words) -eq 2; and test "$words[2]" = "$argv[1]"
end

function __ark_node_bare
    set -l words (commandline -opc)
    test "$words[2]" = "$argv[1]"; and string match -qr -- '^(-|$)' "$words[3]"
end

function __ark_node_is
    set -l words (commandline -opc)
    set -l count (count $argv)
    set -l last (math $count + 1)
    test (count $words) -gt $count; and test "$words[2..$last]" = "$argv"
end

function __ark_node_serve
    set -l words (commandline -opc)
    test (count $words) -eq 1; or string match -q -- '-*' "$words[2]"; or test "$words[2]" = serve
end

function __ark_node_values
    set -l words (commandline -opc)
    set -l data
    if set -l at (contains -i -- --data $words)
        set -l next (math $at + 1)
        set data --data $words[$next]
    end
    command $words[1] __complete $argv[1] $data 2>/dev/null </dev/null
end

complete -c ark-node -f
${lines.join("\n")}
`;
}

function linesOf(command: CommandCompletion): string[] {
  const { name, group } = command;
  const when = name === "serve" ? "-n __ark_node_serve" : `-n '__ark_node_is ${name}'`;
  // A group that does something without a further word takes the flags of that.
  return [...linesWhen(when, command), ...group === null ? [] : linesWhen(`-n '__ark_node_bare ${group}'`, command)];
}

function linesWhen(when: string, { flags, places }: CommandCompletion): string[] {
  return [
    ...flags.map(({ name, short, valued, kind, help }) =>
      [
        "complete -c ark-node",
        when,
        `-l ${name.slice(2)}`,
        ...short === null ? [] : [`-s ${short.slice(1)}`],
        ...valued ? [`${kind === "files" ? "-r" : "-x"}${valuesOf(kind)}`] : [],
        `-d ${quoted(help)}`,
      ].join(" ")
    ),
    ...[...new Set(places)].filter((kind) => kind !== null).map((kind) =>
      `complete -c ark-node ${when}${valuesOf(kind)}`
    ),
  ];
}

function valuesOf(kind: ValueKind | null): string {
  if (kind === "files") return " -F";
  if (kind === "directories") return " -a '(__fish_complete_directories)'";
  return kind === null ? "" : ` -a '(__ark_node_values ${kind})'`;
}

function groupOf(name: string): string {
  return name.split(" ")[0] ?? "";
}

function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
