/** Parts of the documentation that are made from the program, so that they cannot say anything else. */
import { CONFIG_PRESETS, configSchema, SERVE_FLAGS } from "@ark/node/config";
import { COMMANDS } from "../../src/cli/commands/mod.ts";

/** What each part says now, as lines of Markdown. */
const PARTS: Readonly<Record<string, () => string>> = { presets, settings, commands };

const PART_REGEXP = /(<!-- generated: (\w+) -->\n)([\s\S]*?)(<!-- generated: end -->)/g;

/** A page with its generated parts as they should be. */
export function withGenerated(source: string): string {
  return source.replaceAll(PART_REGEXP, (_, begin: string, name: string, _old: string, end: string) => {
    const part = Object.hasOwn(PARTS, name) ? PARTS[name] : undefined;
    if (part === undefined) throw new SyntaxError(`There is no generated part ${name}`);
    return `${begin}\n${part()}\n${end}`;
  });
}

function presets(): string {
  return table(
    ["preset", "for", "sets"],
    Object.entries(CONFIG_PRESETS).map(([name, { about, values }]) => [
      `\`${name}\``,
      about,
      Object.entries(values).map(([flag, value]) => `\`${flag} = ${JSON.stringify(value)}\``).join(", "),
    ]),
  );
}

function settings(): string {
  const { properties } = configSchema(SERVE_FLAGS) as { properties: Record<string, unknown> };
  return table(
    ["setting", "value", "meaning"],
    Object.entries(SERVE_FLAGS).map(([name, { value, multiple, help }]) => [
      `\`${name}\`${name in properties ? "" : " (flag only)"}`,
      value === undefined ? "`true` or `false`" : `\`${value}\`${multiple ? ", several" : ""}`,
      help.replace(/; may be repeated$/, ""),
    ]),
  );
}

function commands(): string {
  const shown = COMMANDS.filter(({ hidden }) => !hidden);
  return table(
    ["command", "what it does"],
    shown.map(({ name, usage, summary }) => [`\`ark-node ${`${name} ${usage}`.trim()}\``, summary]),
  );
}

/** A table as `deno fmt` has it: columns of equal width. */
function table(names: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [names, ...rows].map((row) => row.map((cell) => cell.replaceAll("|", "\\|").replaceAll("*", "\\*")));
  const widths = names.map((_, at) => Math.max(...cells.map((row) => [...row[at] ?? ""].length)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, at) => cell + " ".repeat((widths[at] ?? 0) - [...cell].length)).join(" | ")} |`;
  const [head = [], ...body] = cells;
  return [line(head), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...body.map(line), ""].join("\n");
}
