import assert from "node:assert/strict";
import type { AuditEntry } from "@ark/node/audit";
import { entryOf, lineOf } from "../../../src/audit/chain.ts";
import { mutateText } from "../mutate.ts";
import { FIRST, hashOf, sealed } from "./audit_chain.ts";
import { type FuzzTarget, refusedBy, shrinkText } from "../target.ts";

const LINES: string[] = [];
for (let seq = 1; seq <= 6; seq++) {
  const prev = LINES.length === 0 ? FIRST : hashOf(LINES.at(-1) ?? "");
  const times = { monotonic_ms: seq * 10.125, prev };
  const head = { seq, at: `2026-11-21T00:00:0${seq}.000Z` };
  LINES.push(
    seq % 2 === 0 ? sealed({ ...head, kind: "revoke", peer: "abcdefgh".repeat(7), ...times }) : sealed({
      ...head,
      kind: "end",
      direction: "in",
      peer: "abcdefgh".repeat(7),
      model: "llama3.1:8b",
      prompt_tokens: 12,
      completion_tokens: 34,
      ms: 5.5,
      outcome: "ok",
      digest: "1d".repeat(32),
      request: "2a".repeat(32),
      receipt: "3b".repeat(32),
      ...times,
    }),
  );
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
