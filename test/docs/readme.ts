/** Blocks of the README, which shows what there is in short: lines that are no single command are read and not run. */
import { arkCalls } from "./command_lines.ts";
import type { Block } from "./page.ts";

/** Lines that cannot run here, and why. The first that fits counts. */
const NOT_RUN: readonly [RegExp, string][] = [
  [
    /^(npx|npm|\.\/compile\.sh|docker|deno task (compile|demo|test))/,
    "it installs, builds or runs everything: .ci/run does",
  ],
  [/\bhf\.co\//, "Hugging Face cannot be reached from the test machine"],
  [/--upstream|--registry|--tls-cert/, "there is no such server here"],
  [
    /peers (pair|approve|pause|ignore|pending|why)\b.*( [|] |ID|NAME|HOST|4kd7w2aq)|peers pending/,
    "a placeholder stands there",
  ],
  [/--follow/, "it goes on until Ctrl-C"],
  [/--from|wg suggest|import|export/, "a placeholder stands there, or another machine's disk"],
  [/service install|id rotate/, "it changes the machine or the node for good"],
];

/** One line of a block that stands for itself. */
export interface ReadmeLine {
  /** The line, with what continues it. */
  readonly text: string;
  /** Its number, from 1. */
  readonly line: number;
  /** Why it does not run, or null. */
  readonly notRun: string | null;
}

/** The commands of a block, one by one, as `ark-node` is written on the other pages. */
export function readmeLines({ text, line }: Block): ReadmeLine[] {
  const lines: ReadmeLine[] = [];
  let whole = "";
  for (const [at, part] of text.split("\n").entries()) {
    whole += part;
    if (part.endsWith("\\") || openQuote(whole)) {
      whole += "\n";
      continue;
    }
    const command = whole.replaceAll("deno task ark-node", "ark-node").trim();
    whole = "";
    if (command === "" || command.startsWith("#")) continue;
    lines.push({
      text: command,
      line: line + at + 1,
      notRun: NOT_RUN.find(([fits]) => fits.test(command))?.[1] ?? null,
    });
  }
  return lines;
}

/** Calls of `ark-node` in a line: optional parts are taken as given, and of several commands each is one. */
export function readmeCalls(text: string): string[][] {
  const plain = text.replaceAll(/\[([^\]]*)\]/g, "$1");
  const choice = /^(ark-node \w+) ([\w-]+(?: \| [\w-]+)+)(.*)$/.exec(plain);
  if (choice === null) return arkCalls(plain);
  const [, before = "", words = "", rest = ""] = choice;
  return words.split(" | ").flatMap((word) => arkCalls(`${before} ${word}${rest}`));
}

function openQuote(text: string): boolean {
  return (text.replace(/#.*$/, "").match(/'/g) ?? []).length % 2 === 1;
}
