import assert from "node:assert/strict";
import * as fc from "fast-check";
import { JournalRing, makeRing, readRing } from "../../src/audit/journal_ring.ts";
import { readRecord, recordBytes, writeRecord } from "../../src/audit/ring_record.ts";
import { withDirectory } from "../support/temporary.ts";

const BYTES = 1 << 20;

function linesOf(first: number, count: number, length = 10): { first: number; count: number; bytes: Uint8Array } {
  const text = Array.from({ length: count }, (_, index) => String(first + index).padStart(length, "x") + "\n").join("");
  return { first, count, bytes: new TextEncoder().encode(text) };
}

function withRing(test: (path: string, ring: JournalRing) => Promise<void>): Promise<void> {
  return withDirectory(async (directory) => {
    const path = `${directory}/audit.log.journal`;
    await makeRing(path, BYTES);
    using ring = await JournalRing.open(path, { bytes: BYTES, seq: 0 }) ?? assert.fail("There is no ring");
    await test(path, ring);
  });
}

/** Puts a group and makes it durable. */
function commit(ring: JournalRing, first: number, { count = 1, length = 10 } = {}): boolean {
  if (!ring.put(linesOf(first, count, length))) return false;
  ring.syncNow();
  ring.keep();
  return true;
}

async function seqsOf(path: string): Promise<number[]> {
  return (await readRing(path))?.lines.map(({ seq }) => seq) ?? assert.fail("There is no ring");
}

Deno.test("writeRecord() and readRecord() agree, and no changed bit of a record is taken", () => {
  const record = { ...linesOf(3, 2), number: 7, synced: 2 ** 40, first: 2 ** 40 + 1 };
  const bytes = new Uint8Array(recordBytes(record.bytes.length));
  writeRecord(record, bytes);
  assert.deepEqual(readRecord(bytes), { ...record, bytes: new Uint8Array(record.bytes) });
  for (let bit = 0; bit < 8 * (64 + record.bytes.length); bit++) {
    // Behind the checksum the header has no meaning.
    if (bit >= 8 * 52 && bit < 8 * 64) continue;
    const changed = bytes.slice();
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.equal(readRecord(changed), undefined, `bit ${bit}`);
  }
});

Deno.test("readRecord() takes nothing of random bytes, however they begin", () => {
  const real = new Uint8Array(recordBytes(0));
  writeRecord({ number: 1, synced: 0, first: 1, count: 0, bytes: new Uint8Array(0) }, real);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(60), (bytes, at) => {
    const block = real.slice();
    block.set(bytes.subarray(0, 52 - Math.min(at, 52)), Math.min(at, 52));
    const changed = block.some((byte, index) => byte !== real[index]);
    assert.equal(readRecord(block) === undefined, changed);
  }));
});

Deno.test("JournalRing gives back what is not durable elsewhere, in order, after any number of rounds", () =>
  withRing(async (path, ring) => {
    const needed: number[] = [];
    let seq = 0;
    for (let step = 0; step < 3_000; step++) {
      const count = 1 + step % 7;
      while (!commit(ring, seq + 1, { count, length: 200 + 90 * (step % 50) })) {
        assert.ok(needed.length > 0);
        ring.release(ring.mark);
        needed.length = 0;
      }
      for (let index = 0; index < count; index++) needed.push(++seq);
      if (step % 97 === 0) assert.deepEqual(await seqsOf(path), needed);
      if (step % 40 === 39) {
        // What is released is told by the next record.
        ring.release(ring.mark);
        needed.length = 0;
        assert.ok(commit(ring, seq + 1));
        needed.push(++seq);
      }
    }
    assert.ok(seq * 1_000 > 3 * BYTES, "It went round");
    assert.deepEqual(
      [...ring.lines()].map((bytes) => new TextDecoder().decode(bytes)).join("").split("\n").length - 1,
      needed.length,
    );
  }));

Deno.test("JournalRing.put() overwrites nothing that is needed", () =>
  withRing(async (path, ring) => {
    let last = 0;
    while (commit(ring, last + 1, { length: 5_000 })) last++;
    assert.equal(last, (BYTES - 4_096) / 8_192 | 0);
    assert.equal((await seqsOf(path)).length, last);
    assert.ok(ring.due);
    ring.release(ring.mark);
    assert.ok(!ring.needed);
    assert.ok(commit(ring, last + 1));
    assert.deepEqual(await seqsOf(path), [last + 1]);
  }));

Deno.test("readRing() takes a torn record as one that never was, and none behind a gap", () =>
  withRing(async (path, ring) => {
    for (let seq = 1; seq <= 9; seq++) commit(ring, seq, { length: 5_000 });
    const tear = async (block: number) => {
      using file = await Deno.open(path, { write: true });
      await file.seek(block * 4_096 + 3_000, Deno.SeekMode.Start);
      await file.write(new Uint8Array(4_096));
    };
    // The first block says that nothing is there; then each record has two.
    await tear(1 + 2 * 8);
    assert.deepEqual(await seqsOf(path), [1, 2, 3, 4, 5, 6, 7, 8]);
    await tear(1 + 2 * 3);
    assert.deepEqual(await seqsOf(path), [5, 6, 7, 8]);
  }));

Deno.test("JournalRing.undo() leaves nothing of what was put, and the next takes its place", () =>
  withRing(async (path, ring) => {
    commit(ring, 1);
    assert.ok(ring.put(linesOf(2, 3)));
    ring.undo();
    assert.deepEqual(await seqsOf(path), [1]);
    commit(ring, 2);
    assert.deepEqual(await seqsOf(path), [1, 2]);
  }));

Deno.test("JournalRing.open() voids what an earlier run left, whatever its numbers were", () =>
  withDirectory(async (directory) => {
    const path = `${directory}/audit.log.journal`;
    await makeRing(path, BYTES);
    const open = (seq: number) => JournalRing.open(path, { bytes: BYTES, seq });
    {
      using ring = await open(0) ?? assert.fail("There is no ring");
      for (let seq = 1; seq <= 50; seq++) commit(ring, seq);
    }
    assert.equal((await seqsOf(path)).length, 50);
    using ring = await open(20) ?? assert.fail("There is no ring");
    assert.deepEqual(await seqsOf(path), []);
    commit(ring, 21);
    assert.deepEqual(await seqsOf(path), [21]);
  }));

Deno.test("readRing() says nothing of what is no journal", () =>
  withDirectory(async (directory) => {
    const path = `${directory}/audit.log.journal`;
    assert.equal(await readRing(path), null);
    await Deno.writeFile(path, new Uint8Array(100));
    assert.equal(await readRing(path), null);
    await Deno.writeFile(path, new Uint8Array(BYTES));
    assert.deepEqual(await readRing(path), { number: 0, synced: 0, lines: [] });
    await Deno.writeFile(path, crypto.getRandomValues(new Uint8Array(65_536)));
    assert.equal(await readRing(path), null);
    await Deno.remove(path);
    await Deno.mkdir(path);
    assert.equal(await readRing(path), null);
    assert.equal(await JournalRing.open(path, { bytes: BYTES, seq: 0 }), undefined);
  }));
