import type { Finding, FindingGroup, FindingLevel } from "@ark/node/http";
import { escaped } from "@ark/node/telemetry";

/** A line for a person. */
export interface FindingLine {
  /** What stands there. */
  text: string;
  /** Whether it is to be seen first: a heading, or something that is wrong. */
  strong: boolean;
}

const TITLES: [FindingGroup, string][] = [
  ["node", "Node"],
  ["ports", "Ports"],
  ["network", "Network"],
  ["exposure", "Who can reach it"],
  ["peers", "Peers"],
  ["models", "Models"],
  ["machine", "Machine"],
  ["data", "Data"],
];

const MARKS: Record<FindingLevel, string> = { danger: "FAIL", warning: "warn", ok: "ok  " };

const LONGEST = 500;

/** What a doctor found, in lines for a person: by groups, the worst of each first, and a sum at the end. */
export function findingLines(findings: readonly Finding[]): FindingLine[] {
  const lines: FindingLine[] = [];
  const add = (text: string, { strong = false } = {}) => lines.push({ text, strong });
  for (const [group, title] of TITLES) {
    const here = findings.filter((finding) => (finding.group ?? "node") === group);
    if (here.length === 0) continue;
    if (lines.length > 0) add("");
    add(title, { strong: true });
    for (const { level, sentence, why, fix } of here) {
      add(`  ${MARKS[level]}  ${escaped(sentence, LONGEST)}.`, { strong: level !== "ok" });
      if (why !== undefined) add(`          why  ${escaped(why, LONGEST)}.`);
      if (fix !== undefined) add(`          do   ${escaped(fix, LONGEST)}.`);
    }
  }
  const count = (level: FindingLevel) => findings.filter((one) => one.level === level).length;
  const [fail, warn] = [count("danger"), count("warning")];
  add("");
  const sum = fail + warn === 0 ? "Nothing is wrong" : `${fail} to mend (FAIL), ${warn} to look at (warn)`;
  add(`${sum}; ${count("ok")} in order.`);
  return lines;
}
