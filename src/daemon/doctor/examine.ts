import type { Finding } from "@ark/node/http";
import { exposure } from "./exposure.ts";
import type { RunningFacts, StillFacts } from "./facts.ts";
import { privateFiles } from "./private_files.ts";
import { clock, surroundings } from "./surroundings.ts";
import { trust } from "./trust.ts";

const ORDER = { danger: 0, warning: 1, ok: 2 };

/** Everything that a doctor finds, the worst first; without a running node only what lies on the disk. Pure. */
export function examine(still: StillFacts, running: RunningFacts | null): Finding[] {
  const found = [...privateFiles(still), ...surroundings(still)];
  if (running !== null) found.unshift(...exposure(running.listeners), ...trust(running), ...clock(running));
  return found.toSorted((a, b) => ORDER[a.level] - ORDER[b.level]);
}
