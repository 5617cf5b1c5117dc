import assert from "node:assert/strict";
import { AuditLog, type AuditRecord } from "@ark/node/audit";
import { ArkError } from "@ark/node/protocol";
import { Journal } from "../../src/audit/journal.ts";
import { fill, fullRecord, soundEntries, withFixture } from "./log_fixture.ts";

const RECORD: AuditRecord = { kind: "start", direction: "in", peer: "a".repeat(56), model: "m:1" };

/** Counts commits of the file while `work` runs. */
async function commitsOf(work: () => Promise<unknown>): Promise<number> {
  const { commit } = Journal.prototype;
  let commits = 0;
  Journal.prototype.commit = function (bytes) {
    commits += 1;
    return commit.call(this, bytes);
  };
  try {
    await work();
  } finally {
    Journal.prototype.commit = commit;
  }
  return commits;
}

function unavailable(sentence: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof ArkError);
    assert.equal(error.code, "audit_unavailable");
    assert.match(error.message, sentence);
    return true;
  };
}

for (const slowMs of [1, 0]) {
  const how = slowMs === 0 ? "in a thread" : "at once";
  Deno.test(`AuditLog.append() has the entry in the file when it resolves, synced ${how}`, () =>
    withFixture(async ({ opened, lines }) => {
      await opened(async (log) => {
        for (let seq = 1; seq <= 20; seq++) {
          const entry = await log.append(fullRecord(seq));
          assert.equal(entry.seq, seq);
          assert.deepEqual(JSON.parse((await lines()).at(-1) ?? ""), entry);
        }
        const verdict = await log.verify();
        assert.ok(verdict.ok);
        assert.deepEqual([verdict.entries, verdict.head], [20, (await log.tail(1))[0]?.hash]);
      }, { slowMs });
    }));

  Deno.test(`AuditLog.append() says once that the system has a record, before it resolves, synced ${how}`, () =>
    withFixture(async ({ opened, lines }) => {
      await opened(async (log) => {
        // With others in its group, and alone.
        for (const others of [2, 0]) {
          const seen: unknown[] = [];
          const { promise: looked, resolve } = Promise.withResolvers<void>();
          const written = () => {
            seen.push("written");
            // What a process that was killed here would leave behind.
            void lines().then((all) => seen.push(JSON.parse(all.at(-1) ?? "").model)).then(() => resolve());
          };
          const beside = Array.from({ length: others }, (_, number) => log.append(fullRecord(number)));
          const entry = await log.append({ ...RECORD, model: "told:1" }, { written, atOnce: true });
          seen.push("durable");
          await Promise.all([looked, ...beside]);
          assert.equal(entry.model, "told:1");
          assert.deepEqual([seen[0], seen.toSorted()], ["written", ["durable", "told:1", "written"]]);
        }
      }, { slowMs });
    }));

  Deno.test(`AuditLog.append() commits what comes in one turn together, in the order of the calls, synced ${how}`, () =>
    withFixture(({ opened }) =>
      opened(async (log) => {
        let seqs: number[] = [];
        const commits = await commitsOf(async () => {
          const entries = await Promise.all(Array.from({ length: 64 }, (_, number) => log.append(fullRecord(number))));
          assert.deepEqual(entries.map(({ model }) => model), entries.map((_, number) => `model-${number}:8b`));
          seqs = entries.map(({ seq }) => seq);
        });
        assert.equal(commits, 1);
        assert.deepEqual(seqs, seqs.map((_, index) => index + 1));
        await soundEntries(log);
      }, { slowMs })
    ));
}

Deno.test("AuditLog.append() commits a flood in groups of bounded size and keeps the chain", () =>
  withFixture(({ opened }) =>
    opened(async (log) => {
      const commits = await commitsOf(() =>
        Promise.all(Array.from({ length: 2_000 }, () => log.append(fullRecord(1))))
      );
      assert.ok(commits > 1 && commits < 100, `${commits} commits`);
      assert.equal(await soundEntries(log), 2_000);
    })
  ));

Deno.test("AuditLog.append() records entries that come while a commit runs", () =>
  withFixture(({ opened }) =>
    opened(async (log) => {
      const first = log.append(RECORD);
      // The commit is asynchronous: these come while it runs.
      const rest = new Promise<unknown>((resolve) => setTimeout(() => resolve(fill(log, 10))));
      await Promise.all([first, rest]);
      assert.equal(await soundEntries(log), 11);
    }, { slowMs: 0 })
  ));

Deno.test("AuditLog.append() rejects a record of another shape and records nothing of it", () =>
  withFixture(({ opened, lines }) =>
    opened(async (log) => {
      await assert.rejects(log.append({ ...RECORD, peer: "someone" }), TypeError);
      assert.deepEqual(await lines(), []);
      assert.equal((await log.append(RECORD)).seq, 1);
    })
  ));

Deno.test("AuditLog keeps audit.log readable for people and for the owner only", () =>
  withFixture(({ opened, lines, file }) =>
    opened(async (log) => {
      await log.append(fullRecord(7));
      await log.append({ kind: "approve", direction: null, peer: "a".repeat(56) });
      const keys = (await lines()).map((line) => Object.keys(JSON.parse(line)).join(" "));
      assert.deepEqual(keys, [
        "seq at kind direction peer model prompt_tokens completion_tokens ms outcome digest request receipt count monotonic_ms prev hash",
        "seq at kind peer monotonic_ms prev hash",
      ]);
      assert.equal(((await Deno.stat(file)).mode ?? 0) & 0o777, 0o600);
    })
  ));

Deno.test("AuditLog never holds text that is no field of a record", () =>
  withFixture(async ({ opened, directory }) => {
    const canary = "CANARY the prompt";
    await opened(async (log) => {
      await log.append({ ...fullRecord(1), prompt: canary, messages: [canary], error: canary } as AuditRecord);
      await log.append({ ...fullRecord(1), outcome: canary } as unknown as AuditRecord).catch(() => {});
    });
    for await (const { name } of Deno.readDir(directory)) {
      assert.doesNotMatch(
        new TextDecoder("latin1").decode(await Deno.readFile(`${directory}/${name}`)),
        /CANARY/,
        name,
      );
    }
  }));

Deno.test("AuditLog goes on with the chain when it is opened again", () =>
  withFixture(async ({ opened }) => {
    await opened((log) => fill(log, 5));
    await opened(async (log) => {
      const entry = await log.append(RECORD);
      assert.equal(entry.seq, 6);
      assert.equal(entry.prev, (await log.tail(2))[0]?.hash);
      assert.equal(await soundEntries(log), 6);
    });
  }));

Deno.test("AuditLog.tail() gives the last entries, those of a moment ago included", () =>
  withFixture(({ opened }) =>
    opened(async (log) => {
      assert.deepEqual(await log.tail(3), []);
      await fill(log, 300);
      const entry = await log.append(RECORD);
      assert.deepEqual((await log.tail(2)).at(-1), entry);
      assert.deepEqual(
        (await log.tail(1_000)).map(({ seq }) => seq),
        Array.from({ length: 301 }, (_, index) => index + 1),
      );
      for (const count of [0, -1, 1.5, NaN]) await assert.rejects(log.tail(count), RangeError);
    })
  ));

Deno.test("AuditLog.export() gives the lines of audit.log", () =>
  withFixture(({ opened, lines }) =>
    opened(async (log) => {
      assert.deepEqual(await Array.fromAsync(log.export()), []);
      await fill(log, 600);
      assert.deepEqual(await Array.fromAsync(log.export()), await lines());
      assert.deepEqual(await Array.fromAsync(log.export({ after: 597 })), (await lines()).slice(597));
    })
  ));

Deno.test("AuditLog.export() ends at the entry that was the last when it began", () =>
  withFixture(({ opened }) =>
    opened(async (log) => {
      await fill(log, 5);
      let lines = 0;
      for await (const _line of log.export()) {
        lines += 1;
        await log.append(RECORD);
      }
      assert.equal(lines, 5);
    })
  ));

Deno.test("AuditLog.verify() passes while entries are appended", () =>
  withFixture(({ opened }) =>
    opened(async (log) => {
      await fill(log, 500);
      const appending = fill(log, 500);
      for (let round = 0; round < 5; round++) await soundEntries(log);
      await appending;
      assert.equal(await soundEntries(log), 1_000);
    })
  ));

Deno.test("AuditLog.verify() takes a line on its way to the disk for none that was added", () =>
  withFixture(({ opened, lines }) =>
    opened(async (log) => {
      await fill(log, 5);
      const { commit } = Journal.prototype;
      const { promise: synced, resolve: sync } = Promise.withResolvers<void>();
      Journal.prototype.commit = function (bytes) {
        return Promise.resolve(commit.call(this, bytes)).then(() => synced);
      };
      try {
        const appending = log.append(RECORD);
        const deadline = performance.now() + 30_000;
        while ((await lines()).length < 6) assert.ok(performance.now() < deadline);
        assert.equal(await soundEntries(log), 5);
        sync();
        assert.equal((await appending).seq, 6);
      } finally {
        Journal.prototype.commit = commit;
        sync();
      }
      assert.equal(await soundEntries(log), 6);
    })
  ));

Deno.test("AuditLog.append() puts in place anew what was to follow entries that the disk refused", () =>
  withFixture(({ opened, lines }) =>
    opened(async (log) => {
      await fill(log, 5);
      const { commit } = Journal.prototype;
      const { promise: failed, reject: fail } = Promise.withResolvers<void>();
      const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
      Journal.prototype.commit = function () {
        Journal.prototype.commit = commit;
        begin();
        return failed;
      };
      try {
        const refused = [log.append(RECORD), log.append(RECORD)];
        await begun;
        // These come while the others are on their way, and stand behind them at first.
        const kept = [log.append(RECORD), log.append(RECORD), log.append(RECORD)];
        fail(new ArkError("audit_unavailable", "No"));
        for (const one of refused) await assert.rejects(one, unavailable(/^No$/));
        assert.deepEqual((await Promise.all(kept)).map(({ seq }) => seq), [6, 7, 8]);
      } finally {
        Journal.prototype.commit = commit;
      }
      assert.equal((await lines()).length, 8);
      assert.equal(await soundEntries(log), 8);
    })
  ));

Deno.test("AuditLog commits what waits when it is disposed, puts all into the database, and refuses more", () =>
  withFixture(async ({ opened, lines }) => {
    const waiting: Promise<unknown>[] = [];
    let closed: AuditLog | undefined;
    await opened((log, _store) => {
      closed = log;
      for (let number = 0; number < 300; number++) waiting.push(log.append(fullRecord(number)));
      return Promise.resolve();
    });
    await Promise.all(waiting);
    assert.equal((await lines()).length, 300);
    await assert.rejects(closed?.append(RECORD) ?? Promise.resolve(), unavailable(/is closed$/));
    await opened(async (_log, store) => {
      const { n } = await store.selectFrom("audit_entries").select(({ fn }) => fn.countAll().as("n"))
        .executeTakeFirstOrThrow();
      assert.equal(n, 300);
    });
  }));

Deno.test("AuditLog.open() refuses a file that another log has open", () =>
  withFixture(({ opened, file }) =>
    opened(async (log, store) => {
      await assert.rejects(AuditLog.open({ store, mirror: file }), unavailable(/another ark-node is writing it$/));
      await log.append(RECORD);
    })
  ));

Deno.test("AuditLog.open() says why where the directory is missing", () =>
  withFixture(({ opened, directory }) =>
    opened(async (_log, store) => {
      await assert.rejects(
        AuditLog.open({ store, mirror: `${directory}/none/audit.log` }),
        unavailable(/No such file/),
      );
    })
  ));

Deno.test("AuditLog goes on while the database cannot be written, and catches up", () =>
  withFixture(({ opened }) =>
    opened(async (log, store) => {
      await store.batch((statements) =>
        statements.run("CREATE TRIGGER broken BEFORE INSERT ON audit_entries BEGIN SELECT raise(ABORT, 'broken'); END")
      );
      await fill(log, 10);
      await assert.rejects(log.tail(1), unavailable(/^Cannot read the audit log: broken$/));
      assert.equal((await log.append(RECORD)).seq, 11);
      await store.batch((statements) => statements.run("DROP TRIGGER broken"));
      assert.equal((await log.tail(1))[0]?.seq, 11);
      await soundEntries(log);
    })
  ));
