import assert from "node:assert/strict";
import type { AuditEntry } from "@ark/node/audit";
import { entryOf, GENESIS, lineOf, placed } from "../../../src/audit/chain.ts";
import { unplaced } from "../../../src/audit/audit_record.ts";
import { fullRecord } from "../../audit/log_fixture.ts";
import { mutateText } from "../mutate.ts";
import { type FuzzTarget, refusedBy, shrinkText } from "../target.ts";

const COUNT = 12;
const ENTRIES: AuditEntry[] = [];
const LINES: string[] = [];
for (let number = 1; number <= COUNT; number++) {
  const record = number % 3 === 0 ? { kind: "config", direction: null, peer: null } as const : fullRecord(number);
  const { entry, line } = placed(unplaced(record), ENTRIES.at(-1) ?? GENESIS);
  ENTRIES.push(entry);
  LINES.push(line);
}

/** A line of `audit.log`. */
export const auditLine: FuzzTarget<string> = {
  name: "audit_line",
  promise: "A line is refused with a SyntaxError, or is byte for byte one that the log wrote.",
  corpus: LINES,
  covers: ["/src/audit/chain.ts"],
  mutate: (random, line, other) => mutateText(random, line, other),
  check(line) {
    let entry: AuditEntry;
    try {
      entry = entryOf(line);
    } catch (error) {
      return refusedBy(error, SyntaxError);
    }
    assert.equal(lineOf(entry), line);
    assert.ok(LINES.includes(line), "Nobody ever wrote this entry");
    return true;
  },
  show: (line) => JSON.stringify(line),
  shrink: shrinkText,
};
