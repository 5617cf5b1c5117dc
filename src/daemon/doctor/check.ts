import type { Finding } from "@ark/node/http";
import { reasonOf } from "@ark/node/protocol";
import { groupOf } from "./check_table.ts";

/** One thing that a doctor looks at. */
export interface Check {
  /** What a finding of it is called where it has none of its own, such as `disk`. */
  name: string;
  /** Completes "Looking at …". */
  what: string;
  /** How long it may take, in milliseconds. @default {5000} */
  ms?: number;
  /** Looks. What it throws is a finding, too. */
  look(signal: AbortSignal): readonly Finding[] | Promise<readonly Finding[]>;
}

/** How long one check may take. A person waits, and a network drive that is gone answers never. */
const CHECK_MS = 5_000;

const ORDER = { danger: 0, warning: 1, ok: 2 };

/** Does all checks side by side. Never rejects, and takes no longer than the slowest of them may take. */
export async function runChecks(checks: readonly Check[]): Promise<Finding[]> {
  const found = await Promise.all(checks.map(done));
  return sorted(found.flat());
}

/** Findings with their groups, the worst first. */
export function sorted(findings: readonly Finding[]): Finding[] {
  return findings.map((finding) => ({ ...finding, group: groupOf(finding.check) })).toSorted((a, b) =>
    ORDER[a.level] - ORDER[b.level]
  );
}

async function done({ name, what, ms = CHECK_MS, look }: Check): Promise<readonly Finding[]> {
  const stop = new AbortController();
  const late = Promise.withResolvers<readonly Finding[]>();
  const timer = setTimeout(() => {
    late.resolve([{
      check: name,
      level: "warning",
      sentence: `Looking at ${what} took longer than ${Math.round(ms / 1_000)} s, and was given up`,
      fix: "See whether a disk, a network drive or a server does not answer, and look again",
    }]);
    stop.abort();
  }, ms);
  try {
    return await Promise.race([Promise.resolve().then(() => look(stop.signal)), late.promise]);
  } catch (error) {
    return [{
      check: name,
      level: "warning",
      sentence: `Looking at ${what} did not work: ${reasonOf(error).split("\n")[0]?.slice(0, 200)}`,
      fix: "Look again; where it stays so, please report it",
    }];
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}
