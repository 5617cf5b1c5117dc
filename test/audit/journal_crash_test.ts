/** What a start makes of a journal that a crash, or somebody, left behind. */
import assert from "node:assert/strict";
import { ArkError } from "@ark/node/protocol";
import { Journal } from "../../src/audit/journal.ts";
import { makeRing, readRing } from "../../src/audit/journal_ring.ts";
import { LogFile } from "../../src/audit/log_file.ts";
import { cutLines, cutRows, JOURNAL_BYTES, withCrashed, withJournal } from "./crashed_fixture.ts";
import { fill, fullRecord, type LogFixture, skipped, soundEntries, withFixture } from "./log_fixture.ts";
import { until } from "../inference/local_fixture.ts";
import { fillDisk, withDirectory, withTinyDisk } from "../support/temporary.ts";

/** The log has `count` entries, is sound, and goes on, now and after one more start. */
async function isWhole(fixture: LogFixture, count: number): Promise<void> {
  await withJournal(fixture, async (log) => {
    assert.equal(log.fault, null);
    assert.equal(await soundEntries(log), count);
    assert.equal((await log.append(fullRecord(0))).seq, count + 1);
  });
  await withJournal(fixture, async (log) => assert.equal(await soundEntries(log), count + 1));
}

/** The log refuses to go on, and `verify()` names the entry. */
async function isRefused(fixture: LogFixture, seq: number, says: RegExp): Promise<void> {
  await withJournal(fixture, async (log) => {
    assert.match(log.fault ?? "", says);
    await assert.rejects(log.append(fullRecord(0)), (error) => {
      assert.ok(error instanceof ArkError);
      assert.equal(error.message, log.fault);
      return error.code === "audit_unavailable";
    });
    const verdict = await log.verify();
    assert.ok(!verdict.ok);
    assert.deepEqual([verdict.seq, verdict.entries, verdict.where], [seq, seq - 1, "both"]);
    assert.match(verdict.reason, says);
  });
}

Deno.test("AuditLog with a journal has every entry after a clean end, and its journal is needed for none", () =>
  withFixture(async (fixture) => {
    await withJournal(fixture, (log) => fill(log, 300));
    assert.equal((await fixture.lines()).length, 300);
    await Deno.remove(`${fixture.file}.journal`);
    await isWhole(fixture, 300);
  }));

Deno.test("AuditLog goes on after kill -9 with a journal that has what both copies have, too", () =>
  withCrashed((log) => fill(log, 90), (fixture) => isWhole(fixture, 90)));

Deno.test("T31: After a loss of power the journal gives back whatever file and database lost, at any point", () =>
  withCrashed((log) => fill(log, 60), async (fixture) => {
    const files = ["audit.log", "audit.log.journal", "ark.db", "ark.db-wal", "ark.db-shm"];
    const kept = new Map<string, Uint8Array>();
    for (const name of files) {
      const bytes = await Deno.readFile(`${fixture.directory}/${name}`).catch(() => null);
      if (bytes !== null) kept.set(name, bytes);
    }
    const { length: size } = kept.get("audit.log") ?? assert.fail("There is no file");
    for (let round = 0; round < 24; round++) {
      for (const name of files) {
        const path = `${fixture.directory}/${name}`;
        const bytes = kept.get(name);
        if (bytes === undefined) await Deno.remove(path).catch(() => {});
        else await Deno.writeFile(path, bytes);
      }
      const end = Math.floor(size * round / 24);
      // What is lost of a file is its end, or blocks of it that are zeros then, with whole lines behind them.
      if (round % 3 === 0) await Deno.truncate(fixture.file, end);
      else {
        using file = await Deno.open(fixture.file, { write: true });
        await file.seek(end, Deno.SeekMode.Start);
        await file.write(new Uint8Array(Math.min(size - end, round % 3 === 1 ? 4_096 : size)));
      }
      await cutRows(fixture, Math.floor(60 * ((round * 7) % 24) / 24));
      await fixture.opened(async (log) => {
        assert.equal(log.fault, null, `round ${round}`);
        assert.equal(await soundEntries(log), 60, `round ${round}`);
      });
    }
    await isWhole(fixture, 60);
  }));

Deno.test("AuditLog.open() takes a torn record of the journal as a group that nobody was told of", () =>
  withCrashed((log) => fill(log, 30), async (fixture) => {
    // The last three were appended together, so they are one record: the last one that is there.
    const journal = await Deno.readFile(`${fixture.file}.journal`);
    let last = 0;
    for (let at = 0; at < journal.length; at += 4_096) if (journal[at] === 0x41 && journal[at + 1] === 0x52) last = at;
    journal.fill(0, last + 1_000, last + 4_096);
    await Deno.writeFile(`${fixture.file}.journal`, journal);
    await cutLines(fixture, 20);
    await cutRows(fixture, 20);
    await isWhole(fixture, 27);
  }));

Deno.test("AuditLog.open() takes entries that are in the file and not in the journal, where the node was killed between", () =>
  withCrashed((log) => fill(log, 30), async (fixture) => {
    const lines = await fixture.lines();
    await withFixture(async (other) => {
      // Three more entries as the running log would have written them.
      for await (const { name, isFile } of Deno.readDir(fixture.directory)) {
        if (isFile) await Deno.copyFile(`${fixture.directory}/${name}`, `${other.directory}/${name}`);
      }
      await withJournal(other, (log) => fill(log, 3));
      await fixture.rewrite([...lines, ...(await other.lines()).slice(30)]);
    });
    await isWhole(fixture, 33);
  }));

Deno.test("AuditLog goes on without its journal, and with one of an older run that was put back", () =>
  withCrashed((log) => fill(log, 30), async (fixture) => {
    const journal = `${fixture.file}.journal`;
    const older = await Deno.readFile(journal);
    await Deno.remove(journal);
    await withJournal(fixture, async (log) => {
      await fill(log, 30);
      assert.equal(await soundEntries(log), 60);
    });
    await Deno.writeFile(journal, older);
    await isWhole(fixture, 60);
  }));

Deno.test("AuditLog refuses to go on where the journal is another log's, until it is moved away", () =>
  withCrashed((log) => fill(log, 30), async (fixture) => {
    await withCrashed((log) => fill(log, 60), async (other) => {
      await Deno.copyFile(`${other.file}.journal`, `${fixture.file}.journal`);
    });
    await isRefused(fixture, 1, /entry 1 is not the one that was recorded, as .*audit\.log\.journal says/);
    assert.equal((await fixture.lines()).length, 30);
    await Deno.rename(`${fixture.file}.journal`, `${fixture.file}.journal.old`);
    await isWhole(fixture, 30);
  }));

Deno.test("T28: Entries that were cut off both copies while the node was off are not missed behind the journal's back", async (t) => {
  // 250 entries, of which the journal knows 200 to be durable in the file.
  const crashed = (test: (fixture: LogFixture) => Promise<void>) =>
    withCrashed((log) => fill(log, 50), test, (log) => fill(log, 200));
  const cut = async (fixture: LogFixture, count: number) => {
    await cutLines(fixture, count);
    await cutRows(fixture, count);
  };
  await t.step("what a crash cannot explain stays cut, and is found", () =>
    crashed(async (fixture) => {
      await cut(fixture, 190);
      await isRefused(
        fixture,
        191,
        /entries from 191 on were recorded, as .*audit\.log\.journal says, and are missing/,
      );
      assert.equal((await fixture.lines()).length, 190, "Nothing was repaired");
    }));
  await t.step("what a crash explains comes back as it was", () =>
    crashed(async (fixture) => {
      const lines = await fixture.lines();
      await cut(fixture, 210);
      await fixture.opened(async (log) => assert.equal(await soundEntries(log), 250));
      assert.deepEqual(await fixture.lines(), lines);
    }));
  await t.step("a change behind what is known to be durable stays, and is found", () =>
    crashed(async (fixture) => {
      const lines = await fixture.lines();
      await fixture.rewrite(lines.with(220, (lines[220] ?? "").replace("model-21", "model-12")));
      await fixture.opened(async (log) => {
        const verdict = await log.verify();
        assert.deepEqual(verdict.ok ? null : [verdict.seq, verdict.where], [221, "file"]);
      });
    }));
  await t.step("others in their place are found", () =>
    crashed(async (fixture) => {
      await cut(fixture, 210);
      const journal = await Deno.readFile(`${fixture.file}.journal`);
      await Deno.remove(`${fixture.file}.journal`);
      await fixture.opened((log) => fill(log, 60));
      await Deno.writeFile(`${fixture.file}.journal`, journal);
      await isRefused(fixture, 211, /entry 211 is not the one that was recorded/);
    }));
});

Deno.test("AuditLog.keepReserve() makes the journal, for its owner only, and the log goes on in it", () =>
  withFixture(async (fixture) => {
    const journal = `${fixture.file}.journal`;
    await fixture.opened(async (log) => {
      await fill(log, 10);
      const stop = new AbortController();
      const keeping = log.keepReserve(stop.signal, { afterMs: 0 });
      await until(async () => (await readRing(journal))?.number === 1);
      await fill(log, 3);
      assert.deepEqual((await readRing(journal))?.lines.map(({ seq }) => seq), [11, 12, 13]);
      assert.equal(((await Deno.stat(journal)).mode ?? 0) & 0o777, 0o600);
      stop.abort();
      await keeping;
    }, { journalBytes: JOURNAL_BYTES });
    assert.deepEqual((await readRing(journal))?.lines, []);
    await isWhole(fixture, 13);
  }));

Deno.test("AuditLog.prune() leaves nothing of what it removes in the journal, which is made anew", () =>
  withFixture(async (fixture) => {
    const journal = `${fixture.file}.journal`;
    await withJournal(fixture, async (log) => {
      await fill(log, 300);
      assert.match(await Deno.readTextFile(journal), /"model-5:8b"/);
      assert.equal(await log.prune({ keep: 10 }), 256);
      await assert.rejects(Deno.stat(journal), Deno.errors.NotFound);
      await fill(log, 3);
      assert.equal(await soundEntries(log), 304);
    });
    await isWhole(fixture, 304);
  }));

const SPAN = { first: 1, count: 1 };

Deno.test("Journal goes on without a ring where the disk has no room for one, also when it fills up meanwhile", () =>
  withTinyDisk(8_192, async (tiny) => {
    const path = `${tiny}/audit.log`;
    // A ring wants four times its size. What such a disk says is free is right within some pages for each processor.
    using journal = await Journal.open(path, { ringBytes: JOURNAL_BYTES });
    await journal.start(0);
    assert.ok(!journal.hasRing);
    await Deno.writeFile(`${tiny}/ballast`, new Uint8Array(5 << 20));
    assert.ok(!(await journal.prepare()));
    await fillDisk(`${tiny}/ballast`);
    await assert.rejects(makeRing(journal.ringPath, JOURNAL_BYTES), /No space left/);
    assert.deepEqual((await Array.fromAsync(Deno.readDir(tiny), ({ name }) => name)).sort(), ["audit.log", "ballast"]);
    await Deno.truncate(`${tiny}/ballast`, 5 << 20);
    await journal.commit(new TextEncoder().encode("a\n"), { span: SPAN });
    await Deno.remove(`${tiny}/ballast`);
    assert.ok(await journal.prepare());
    await journal.start(1);
    assert.ok(journal.hasRing);
  }));

Deno.test("Journal goes on without a ring where its directory cannot be written", () =>
  withDirectory(async (directory) => {
    using journal = await Journal.open(`${directory}/audit.log`, { ringBytes: JOURNAL_BYTES });
    const locked = await lockedDirectory(directory);
    if (locked === null) {
      skipped("this user can write to every directory here");
      return;
    }
    try {
      assert.ok(!(await journal.prepare()));
      await journal.start(0);
      assert.ok(!journal.hasRing);
      await journal.commit(new TextEncoder().encode("a\n"), { span: SPAN });
      assert.equal(await Deno.readTextFile(journal.path), "a\n");
    } finally {
      await locked();
    }
  }));

/** Takes the right to make files in a directory away, also from root, and gives it back; null where that does not go. */
async function lockedDirectory(directory: string): Promise<(() => Promise<unknown>) | null> {
  const chattr = async (flag: string) => {
    const command = new Deno.Command("chattr", { args: [flag, directory], stdout: "null", stderr: "null" });
    return await command.output().then(({ success }) => success, () => false);
  };
  if (await chattr("+i")) return () => chattr("-i");
  await Deno.chmod(directory, 0o500);
  const writes = await Deno.writeTextFile(`${directory}/probe`, "").then(() => true, () => false);
  if (!writes) return () => Deno.chmod(directory, 0o700);
  await Deno.remove(`${directory}/probe`);
  return null;
}

Deno.test("Journal.commit() goes on in audit.log alone where the ring is full, and in the ring afterwards", () =>
  withDirectory(async (directory) => {
    await makeRing(`${directory}/audit.log.journal`, JOURNAL_BYTES);
    using journal = await Journal.open(`${directory}/audit.log`, { ringBytes: JOURNAL_BYTES, slowMs: 60_000 });
    await journal.start(0);
    const bytes = new TextEncoder().encode("x".repeat(300_000) + "\n");
    for (let seq = 1; seq <= 12; seq++) {
      await journal.commit(bytes, { span: { first: seq, count: 1 } });
      const { lines = [], synced = 0 } = await journal.lastRun() ?? {};
      // Whatever is not in the ring is durable in the file.
      assert.ok(lines.length <= 3);
      assert.ok(lines.length === 0 || lines.at(-1)?.seq === seq || synced < seq);
    }
    await journal.settled();
    assert.equal(journal.size, 12 * bytes.length);
    assert.equal((await Deno.stat(journal.path)).size, 12 * bytes.length);
  }));

Deno.test("LogFile.rewrite() puts back what the disk lost, and says where that is not all", () =>
  withDirectory(async (directory) => {
    using file = await LogFile.open(`${directory}/audit.log`);
    const [a, b, c] = ["one\n", "two\n", "three\n"].map((text) => new TextEncoder().encode(text));
    assert.ok(a && b && c);
    for (const line of [a, b, c]) {
      file.write(line);
      file.grown(line.length);
    }
    await Deno.truncate(file.path, 5);
    file.rewrite(4, [b, c]);
    assert.equal(await Deno.readTextFile(file.path), "one\ntwo\nthree\n");
    assert.throws(() => file.rewrite(4, [b]), /does not hold what it lacks/);
    file.write(a);
    file.grown(a.length);
    assert.ok((await Deno.readTextFile(file.path)).endsWith("three\none\n"));
  }));
