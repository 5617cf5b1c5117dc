import assert from "node:assert/strict";
import { Journal } from "../../src/audit/journal.ts";
import { journalLines } from "../../src/audit/journal_lines.ts";
import { withFixture } from "./log_fixture.ts";

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

Deno.test("Journal.commit() is done when it returns, as long as the disk is fast", () =>
  withFixture(async ({ file }) => {
    using journal = await Journal.open(file, { slowMs: 60_000 });
    for (let commit = 1; commit <= 3; commit++) {
      assert.equal(journal.commit(bytes("a\n")), undefined);
      assert.equal(await Deno.readTextFile(file), "a\n".repeat(commit));
      assert.equal(journal.size, 2 * commit);
    }
  }));

Deno.test("Journal.commit() leaves the event loop free after a slow one", () =>
  withFixture(async ({ file }) => {
    using journal = await Journal.open(file, { slowMs: 1e-9 });
    assert.equal(journal.commit(bytes("a\n")), undefined);
    const later = journal.commit(bytes("b\n"));
    assert.ok(later instanceof Promise);
    await later;
    assert.equal(await Deno.readTextFile(file), "a\nb\n");
    assert.equal(journal.size, 4);
  }));

Deno.test("Journal.truncate() cuts the file, and the next commit stands behind the cut", () =>
  withFixture(async ({ file }) => {
    await Deno.writeTextFile(file, "first\ntorn");
    using journal = await Journal.open(file);
    assert.equal(journal.size, 10);
    journal.truncate(6);
    assert.equal(await Deno.readTextFile(file), "first\n");
    await journal.commit(bytes("second\n"));
    assert.equal(await Deno.readTextFile(file), "first\nsecond\n");
  }));

Deno.test("Journal.commit() overwrites what others wrote behind it", () =>
  withFixture(async ({ file }) => {
    using journal = await Journal.open(file);
    await journal.commit(bytes("first\n"));
    await Deno.writeTextFile(file, "foreign\n", { append: true });
    await journal.commit(bytes("second line\n"));
    assert.equal(journal.size, 18);
    assert.equal(await Deno.readTextFile(file), "first\nsecond line\n");
  }));

Deno.test("journalLines() gives lines with their places across the borders of chunks", () =>
  withFixture(async ({ file }) => {
    const texts = Array.from({ length: 500 }, (_, index) => `line ${index} ${"ü".repeat(index)}`);
    await Deno.writeTextFile(file, texts.join("\n"));
    const all = await Deno.readFile(file);
    const lines = await Array.fromAsync(journalLines(file, 0));
    assert.deepEqual(lines.map(({ text }) => text), texts);
    assert.deepEqual(lines.map(({ whole }) => whole), texts.map((_, index) => index < 499));
    for (const { text, start, end, whole } of lines) {
      assert.equal(new TextDecoder().decode(all.subarray(start, end)), text + (whole ? "\n" : ""));
    }
    const middle = lines[250]?.start ?? 0;
    assert.deepEqual(await Array.fromAsync(journalLines(file, middle)), lines.slice(250));
  }));

Deno.test("journalLines() gives nothing of a file that is empty or not there", () =>
  withFixture(async ({ file }) => {
    assert.deepEqual(await Array.fromAsync(journalLines(file, 0)), []);
    await Deno.writeTextFile(file, "");
    assert.deepEqual(await Array.fromAsync(journalLines(file, 0)), []);
  }));
