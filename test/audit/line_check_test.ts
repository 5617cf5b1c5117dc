import assert from "node:assert/strict";
import fc from "fast-check";
import type { AuditEntry } from "@ark/node/audit";
import { unplaced } from "../../src/audit/audit_record.ts";
import { entryFrom, entryOf, FIELDS, GENESIS, type Head, lineOf } from "../../src/audit/chain.ts";
import { checkLines } from "../../src/audit/line_check.ts";
import { leafHash } from "../../src/audit/merkle_tree.ts";
import { isLineOf } from "../../src/audit/row_line.ts";
import { fill, fullRecord, placed, soundEntries, withFixture } from "./log_fixture.ts";

const encoder = new TextEncoder();

function chainOf(count: number): { entries: AuditEntry[]; lines: string[] } {
  const entries: AuditEntry[] = [];
  const lines: string[] = [];
  let head: Head = GENESIS;
  for (let number = 1; number <= count; number++) {
    const { entry, line } = placed(unplaced(fullRecord(number)), head);
    entries.push(entry);
    lines.push(line);
    head = entry;
  }
  return { entries, lines };
}

function bytesOf(lines: readonly string[]): Uint8Array {
  return encoder.encode(lines.map((line) => line + "\n").join(""));
}

Deno.test("checkLines() takes a sound chain, and leaves its bytes as they were", () => {
  const { entries, lines } = chainOf(20);
  const bytes = bytesOf(lines);
  const checked = checkLines(bytes) ?? assert.fail("The chain is sound");
  assert.deepEqual(bytes, bytesOf(lines));
  assert.deepEqual([checked.count, checked.prev, checked.hash], [20, GENESIS.hash, entries[19]?.hash]);
  for (const [index, line] of lines.entries()) {
    assert.deepEqual(checked.leaves.subarray(32 * index, 32 * index + 32), leafHash(encoder.encode(line)));
    assert.equal(checked.quotes[index], [...line].filter((character) => character === '"').length);
  }
  assert.equal(checkLines(bytesOf(lines.slice(5)))?.prev, entries[4]?.hash);
});

Deno.test("checkLines() refuses a change of any one bit, a missing, a moved and a torn line", () => {
  const { lines } = chainOf(4);
  const bytes = bytesOf(lines);
  for (let index = 0; index < bytes.length; index++) {
    const kept = bytes[index] ?? 0;
    for (const bit of [1, 64]) {
      bytes[index] = kept ^ bit;
      const checked = checkLines(bytes);
      // What the first line names is compared with what was before it by whoever knows that.
      assert.ok(checked === null || checked.prev !== GENESIS.hash, `byte ${index}`);
    }
    bytes[index] = kept;
  }
  assert.equal(checkLines(bytesOf(lines.toSpliced(1, 1))), null);
  assert.equal(checkLines(bytesOf(lines.toReversed())), null);
  assert.equal(checkLines(bytesOf(lines).subarray(0, -1)), null);
  assert.equal(checkLines(bytesOf([...lines, ""])), null);
  assert.equal(checkLines(new Uint8Array()), null);
});

Deno.test("checkLines() takes any bytes without throwing", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => assert.equal(checkLines(bytes), null)));
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
    assert.throws(() => entryOf(text), SyntaxError);
  }));
});

Deno.test("isLineOf() says of any two entries whether the one is the line of the other", () => {
  const { entries } = chainOf(1);
  const model = fc.oneof(
    fc.string({ unit: "grapheme" }),
    fc.constantFrom('a","outcome":"ok', "\\", '\\"', "\\\\", '"', "a"),
  );
  const change = fc.record({ model, outcome: fc.constantFrom("ok", null, 'x"'), ms: fc.oneof(fc.double(), fc.nat()) });
  fc.assert(fc.property(change, change, (one, other) => {
    const entry = { ...entries[0], ...one } as AuditEntry;
    const line = lineOf({ ...entries[0], ...other } as AuditEntry);
    const quotes = line.includes("\\") ? 0 : [...line].filter((character) => character === '"').length;
    const row = FIELDS.map((field) => entry[field]);
    const written = Number.isFinite(one.ms) ? lineOf(entryFrom(entry)) : null;
    if (written !== null) assert.equal(isLineOf(row, line, quotes), written === line, `${written}\n${line}`);
  }));
  // The same text, and not the same row.
  const rowOf = (fields: Record<string, string | number>) => FIELDS.map((field) => fields[field] ?? null);
  const text = '{"seq":1,"model":"a","outcome":"ok"}';
  assert.ok(isLineOf(rowOf({ seq: 1, model: "a", outcome: "ok" }), text, 10));
  assert.ok(!isLineOf(rowOf({ seq: 1, model: 'a","outcome":"ok' }), text, 10));
});

Deno.test("AuditLog.verify() of a long log, in threads, names the same entries", () =>
  withFixture((fixture) =>
    fixture.opened(async (log, store) => {
      for (let round = 0; round < 8; round++) {
        await Promise.all(Array.from({ length: 1_000 }, (_, number) => log.append(fullRecord(number))));
      }
      await fill(log, 5);
      assert.ok((await Deno.stat(fixture.file)).size > 4 << 20, "The log is long enough for threads");
      assert.equal(await soundEntries(log), 8_005);
      const lines = await fixture.lines();
      for (const at of [4_711, 8_003]) {
        await fixture.rewrite(lines.with(at, (lines[at] ?? "").replace("model-", "nodel-")));
        const inFile = await log.verify();
        assert.deepEqual(inFile.ok ? null : [inFile.seq, inFile.where], [at + 1, "file"]);
        await fixture.rewrite(lines);
        const { model } = entryOf(lines[at] ?? "");
        await store.updateTable("audit_entries").set({ model: "other" }).where("seq", "=", at + 1).execute();
        const inTable = await log.verify();
        assert.deepEqual(inTable.ok ? null : [inTable.seq, inTable.where], [at + 1, "database"]);
        await store.updateTable("audit_entries").set({ model }).where("seq", "=", at + 1).execute();
      }
      assert.equal(await soundEntries(log), 8_005);
    })
  ));
