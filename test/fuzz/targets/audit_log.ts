import assert from "node:assert/strict";
import type { AuditEntry } from "@ark/node/audit";
import { entryOf, GENESIS, lineOf, placed } from "../../../src/audit/chain.ts";
import { unplaced } from "../../../src/audit/audit_record.ts";
import type { EntriesTable } from "../../../src/audit/entries_table.ts";
import { verify } from "../../../src/audit/verify.ts";
import { fullRecord } from "../../audit/log_fixture.ts";
import { mutateBytes, mutateText } from "../mutate.ts";
import type { Random } from "../random.ts";
import { type FuzzTarget, refusedBy, showBytes, shrinkBytes, shrinkText } from "../target.ts";

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

const WHOLE = new TextEncoder().encode(LINES.map((line) => `${line}\n`).join(""));
// The real one needs a database; what it answers is all that the verifier sees of it.
const table = {
  after: (seq: number, count: number) => Promise.resolve(ENTRIES.filter((entry) => entry.seq > seq).slice(0, count)),
} as unknown as EntriesTable;
const path = `${Deno.env.get("TMPDIR") ?? "/tmp"}/ark-fuzz-audit-${Deno.pid}.log`;

/** `audit.log` as a whole, beside a database that is right. */
export const auditVerifier: FuzzTarget<Uint8Array> = {
  name: "audit_verifier",
  promise: "A file passes only with every byte of every entry, and what is wrong is named by its number.",
  corpus: [WHOLE],
  covers: ["/src/audit/"],
  cost: 10,
  mutate: (random, bytes, other) => random.once(2) ? mutateBytes(random, bytes, other) : rewritten(random),
  async check(bytes) {
    Deno.writeFileSync(path, bytes);
    try {
      const verdict = await verify(path, table, () => COUNT);
      const intact = bytes.length >= WHOLE.length && WHOLE.every((byte, index) => bytes[index] === byte);
      if (verdict.ok) assert.ok(intact, "Something is wrong, and nobody saw it");
      else {
        const good = commonLines(bytes);
        assert.equal(verdict.seq, good + 1, "The first bad entry is another one");
        assert.notEqual(verdict.where, "database");
      }
      return verdict.ok;
    } finally {
      Deno.removeSync(path);
    }
  },
  show: showBytes,
  shrink: shrinkBytes,
};

/** The file as somebody leaves it who knows how the chain is made: lines moved, left out, doubled or made anew. */
function rewritten(random: Random): Uint8Array {
  const lines = [...LINES];
  const [at, to] = [random.below(COUNT), random.below(COUNT)];
  const entry = ENTRIES[at];
  const change = random.below(5);
  if (change === 0) lines.splice(at, 1 + random.below(3));
  else if (change === 1) lines.splice(to, 0, LINES[at] ?? "");
  else if (change === 2) [lines[at], lines[to]] = [LINES[to] ?? "", LINES[at] ?? ""];
  else if (entry !== undefined) {
    // With hashes that are right: only the other copy knows better.
    const { seq: _seq, prev: _prev, hash: _hash, ...rest } = { ...entry, completion_tokens: random.below(9) };
    let head = ENTRIES[at - 1] ?? GENESIS;
    for (const [index, old] of [rest, ...ENTRIES.slice(at + 1)].entries()) {
      const made = placed(old, head);
      lines[at + index] = made.line;
      head = made.entry;
      if (change === 3) break;
    }
  }
  return new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""));
}

/** How many whole lines at the beginning are as they were. */
function commonLines(bytes: Uint8Array): number {
  let lines = 0;
  for (const [index, byte] of WHOLE.entries()) {
    if (bytes[index] !== byte) return lines;
    if (byte === 10) lines++;
  }
  return lines;
}
