import assert from "node:assert/strict";
import type { AuditLog } from "@ark/node/audit";
import { ArkError } from "@ark/node/protocol";
import type { Store } from "@ark/node/store";
import { Logger } from "@ark/node/telemetry";
import { entryOf } from "../../src/audit/chain.ts";
import { fill, fullRecord, type LogFixture, placed, soundEntries, withFixture } from "./log_fixture.ts";

/** Makes a log of `count` entries, changes it while it is closed, and opens it again. */
async function reopened(
  fixture: LogFixture,
  { count, change, check }: {
    count: number;
    change: (store: Store) => Promise<unknown>;
    check: (log: AuditLog, said: string[]) => Promise<void>;
  },
): Promise<void> {
  await fixture.opened((log) => fill(log, count));
  await fixture.opened((log, store) => log[Symbol.asyncDispose]().then(() => change(store)));
  const said: string[] = [];
  const logger = new Logger({ write: (line) => said.push(line.slice(25)) });
  await fixture.opened((log) => check(log, said), { logger });
}

/** The log is whole, and the next entry is the one behind `count`. */
async function isWhole(log: AuditLog, count: number): Promise<void> {
  assert.equal(log.fault, null);
  assert.equal(await soundEntries(log), count);
  assert.equal((await log.append(fullRecord(0))).seq, count + 1);
  await soundEntries(log);
}

function cutEnd(bytes: number): (fixture: LogFixture) => Promise<void> {
  return async ({ file }) => await Deno.truncate(file, (await Deno.stat(file)).size - bytes);
}

async function appendText(file: string, text: string): Promise<void> {
  await Deno.writeTextFile(file, text, { append: true });
}

for (const [what, condition, count] of [["last entries", "seq > 290", 10], ["entries", "true", 300]] as const) {
  Deno.test(`AuditLog.open() puts the ${what} that the database lacks into it`, () =>
    withFixture((fixture) =>
      reopened(fixture, {
        count: 300,
        change: (store) => store.batch((statements) => statements.run(`DELETE FROM audit_entries WHERE ${condition}`)),
        check: async (log, said) => {
          assert.deepEqual(said, [`INFO  The audit database caught up with its file count=${count}`]);
          await isWhole(log, 300);
        },
      })
    ));
}

Deno.test("AuditLog.open() makes a lost database anew from the file", () =>
  withFixture(async (fixture) => {
    await fixture.opened((log) => fill(log, 700));
    await Deno.remove(`${fixture.directory}/ark.db`);
    await fixture.opened((log) => isWhole(log, 700));
  }));

Deno.test("AuditLog.open() makes a lost file anew from the database", () =>
  withFixture(async (fixture) => {
    await fixture.opened((log) => fill(log, 700));
    const lines = await fixture.lines();
    await Deno.remove(fixture.file);
    await fixture.opened((log) => isWhole(log, 700));
    assert.deepEqual((await fixture.lines()).slice(0, 700), lines);
  }));

for (const bytes of [1, 2, 100, 2_000]) {
  Deno.test(`AuditLog.open() gives back ${bytes} bytes that the end of the file lost`, () =>
    withFixture((fixture) =>
      reopened(fixture, {
        count: 30,
        change: () => cutEnd(bytes)(fixture),
        check: async (log, said) => {
          assert.match(
            said.at(-1) ?? "",
            /^WARN {2}The audit log was shorter than its database and is whole again count=/,
          );
          await isWhole(log, 30);
        },
      })
    ));
}

for (const [what, bytes] of [["half a line", '{"seq":31,"at":"20'], ["zeros", "\0".repeat(4_096)]] as const) {
  Deno.test(`AuditLog.open() cuts ${what} off the end of the file`, () =>
    withFixture((fixture) =>
      reopened(fixture, {
        count: 30,
        change: () => appendText(fixture.file, bytes),
        check: async (log, said) => {
          assert.deepEqual(said, [`INFO  The last line of the audit log was torn and is cut bytes=${bytes.length}`]);
          await isWhole(log, 30);
          await assert.rejects(Deno.stat(`${fixture.file}.damaged`), Deno.errors.NotFound);
        },
      })
    ));
}

Deno.test("AuditLog.open() takes whole entries that were never acknowledged, and cuts the torn one behind them", () =>
  withFixture((fixture) =>
    reopened(fixture, {
      count: 30,
      change: async (store) => {
        const lines = await fixture.lines();
        await store.batch((statements) => statements.run("DELETE FROM audit_entries WHERE seq > 20"));
        await Deno.writeTextFile(fixture.file, lines.slice(0, 25).join("\n") + "\n" + (lines[25] ?? "").slice(0, 200));
      },
      check: (log) => isWhole(log, 25),
    })
  ));

Deno.test("AuditLog.open() sets whole lines aside that are no part of the chain", () =>
  withFixture((fixture) =>
    reopened(fixture, {
      count: 30,
      change: () => appendText(fixture.file, "What is this?\nAnd this\n"),
      check: async (log, said) => {
        assert.match(said[0] ?? "", /^WARN {2}The end of the audit log was no part of its chain .* bytes=23$/);
        assert.equal(await Deno.readTextFile(`${fixture.file}.damaged`), "What is this?\nAnd this\n");
        await isWhole(log, 30);
      },
    })
  ));

/** A log that may not be appended to: says why, refuses, and changes neither copy. */
async function isRefused(fixture: LogFixture, log: AuditLog, before: string): Promise<void> {
  assert.match(log.fault ?? "", /and its database disagree after entry \d+; ark-node audit verify tells where/);
  await assert.rejects(log.append(fullRecord(0)), (error) => {
    assert.ok(error instanceof ArkError);
    assert.equal(error.code, "audit_unavailable");
    assert.equal(error.message, log.fault);
    return true;
  });
  assert.equal(await Deno.readTextFile(fixture.file), before);
}

Deno.test("AuditLog.open() refuses entries where both copies go on in different ways, until the file is moved away", () =>
  withFixture(async (fixture) => {
    let before = "";
    await reopened(fixture, {
      count: 30,
      change: async () => {
        const lines = await fixture.lines();
        const { seq, prev, hash: _hash, ...rest } = entryOf(lines[27] ?? "");
        const forged = placed({ ...rest, model: "other:1b" }, { seq: seq - 1, hash: prev });
        await fixture.rewrite([...lines.slice(0, 27), forged.line]);
        before = await Deno.readTextFile(fixture.file);
      },
      check: async (log) => {
        await isRefused(fixture, log, before);
        const verdict = await log.verify();
        assert.deepEqual(verdict.ok ? null : { where: verdict.where, seq: verdict.seq }, { where: "both", seq: 28 });
        assert.equal((await log.tail(1))[0]?.seq, 30);
        assert.equal((await Array.fromAsync(log.export())).length, 30);
      },
    });
    await Deno.rename(fixture.file, `${fixture.file}.old`);
    await fixture.opened((log) => isWhole(log, 30));
  }));

Deno.test("AuditLog.open() refuses entries where more of the file is bad than a crash explains", () =>
  withFixture(async (fixture) => {
    let before = "";
    await reopened(fixture, {
      count: 30,
      change: async () => {
        await appendText(fixture.file, "nonsense\n".repeat(70_000));
        before = await Deno.readTextFile(fixture.file);
      },
      check: (log) => isRefused(fixture, log, before),
    });
  }));

Deno.test("AuditLog.open() refuses entries where the database would restore a row that was changed", () =>
  withFixture(async (fixture) => {
    await reopened(fixture, {
      count: 30,
      change: async (store) => {
        await fixture.rewrite((await fixture.lines()).slice(0, 20));
        await store.batch((statements) => statements.run("UPDATE audit_entries SET model = 'x' WHERE seq = 25"));
      },
      check: async (log) => {
        assert.match(log.fault ?? "", /disagree after entry/);
        const verdict = await log.verify();
        assert.deepEqual(verdict.ok ? null : verdict.seq, 21);
      },
    });
  }));
