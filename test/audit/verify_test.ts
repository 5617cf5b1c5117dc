import assert from "node:assert/strict";
import type { AuditLog, FaultyAudit } from "@ark/node/audit";
import type { Store } from "@ark/node/store";
import { entryOf, FIELDS } from "../../src/audit/chain.ts";
import { fill, type LogFixture, placed, soundEntries, withFixture } from "./log_fixture.ts";

/** Runs a test on a log of 12 entries that is open while it is tampered with. */
function tampered(
  name: string,
  tamper: (fixture: LogFixture, store: Store, log: AuditLog) => Promise<unknown>,
  check: (verdict: FaultyAudit) => void,
): void {
  Deno.test(`AuditLog.verify() finds ${name}`, () =>
    withFixture((fixture) =>
      fixture.opened(async (log, store) => {
        await fill(log, 12);
        await soundEntries(log);
        await tamper(fixture, store, log);
        const verdict = await log.verify();
        if (verdict.ok) assert.fail("The tampering was not found");
        assert.match(verdict.reason, /^In (the database|audit\.log) |^The database and audit\.log |^Behind /);
        check(verdict);
      })
    ));
}

function isFault(where: FaultyAudit["where"], seq: number, reason: RegExp): (verdict: FaultyAudit) => void {
  return (verdict) => {
    assert.deepEqual({ where: verdict.where, seq: verdict.seq, entries: verdict.entries }, {
      where,
      seq,
      entries: seq - 1,
    });
    assert.match(verdict.reason, reason);
  };
}

function sql(text: string): (_fixture: LogFixture, store: Store) => Promise<void> {
  return (_fixture, store) => store.batch((statements) => text.split(";").forEach((one) => statements.run(one)));
}

function file(change: (lines: string[]) => string[]): (fixture: LogFixture) => Promise<void> {
  return async ({ lines, rewrite }) => await rewrite(change(await lines()));
}

for (const field of FIELDS) {
  const number = ["seq", "prompt_tokens", "completion_tokens", "ms", "count", "monotonic_ms"].includes(field);
  const value = number ? `${field} + 1000` : `${field} || 'x'`;
  const missing = field === "seq" ? /entry 6 is missing/ : new RegExp(`entry 6 was changed: ${field};`);
  tampered(
    `a changed ${field} in the database`,
    sql(`UPDATE audit_entries SET ${field} = ${value} WHERE seq = 6`),
    isFault("database", 6, missing),
  );
  tampered(
    `a changed ${field} in the file`,
    file((lines) =>
      lines.map((line, index) => {
        if (index !== 5) return line;
        const entry = JSON.parse(line);
        return JSON.stringify({ ...entry, [field]: number ? entry[field] + 1000 : entry[field] + "x" });
      })
    ),
    isFault("file", 6, /the line of entry 6 was changed; the database still has it/),
  );
  if (!["seq", "at", "kind", "monotonic_ms", "prev", "hash"].includes(field)) {
    tampered(
      `a ${field} that was removed from the database`,
      sql(`UPDATE audit_entries SET ${field} = NULL WHERE seq = 1`),
      isFault("database", 1, new RegExp(`entry 1 was changed: ${field};`)),
    );
  }
}

tampered(
  "a deleted middle entry in the database",
  sql("DELETE FROM audit_entries WHERE seq = 5"),
  isFault("database", 5, /entry 5 is missing/),
);
tampered(
  "a deleted last entry in the database",
  sql("DELETE FROM audit_entries WHERE seq = 12"),
  isFault("database", 12, /entry 12 is missing/),
);
tampered("an empty database", sql("DELETE FROM audit_entries"), isFault("database", 1, /entry 1 is missing/));
tampered(
  "a deleted entry whose followers moved up",
  sql("DELETE FROM audit_entries WHERE seq = 5;UPDATE audit_entries SET seq = seq - 1 WHERE seq > 5"),
  isFault("database", 5, /entry 5 was changed/),
);
tampered(
  "two swapped entries in the database",
  sql(
    "UPDATE audit_entries SET seq = -1 WHERE seq = 4;UPDATE audit_entries SET seq = 4 WHERE seq = 7;UPDATE audit_entries SET seq = 7 WHERE seq = -1",
  ),
  isFault("database", 4, /entry 4 was changed/),
);
tampered(
  "an inserted entry before the first",
  sql(
    "INSERT INTO audit_entries SELECT 0, at, monotonic_ms, kind, direction, peer, model, digest, prompt_tokens, completion_tokens, ms, outcome, request, receipt, prev, hash, count FROM audit_entries WHERE seq = 1",
  ),
  isFault("database", 1, /an entry numbered 0 was inserted/),
);
tampered(
  "an entry added behind the last one in the database",
  sql(
    "INSERT INTO audit_entries SELECT 13, at, monotonic_ms, kind, direction, peer, model, digest, prompt_tokens, completion_tokens, ms, outcome, request, receipt, hash, hash, count FROM audit_entries WHERE seq = 12",
  ),
  isFault("database", 13, /an entry numbered 13 was added behind the last one/),
);
tampered(
  "a value that cannot be read",
  sql("UPDATE audit_entries SET prompt_tokens = 9223372036854775807 WHERE seq = 9"),
  isFault("database", 9, /entry 9 cannot be read/),
);

tampered(
  "a deleted middle line",
  file((lines) => lines.toSpliced(4, 1)),
  isFault("file", 5, /the line of entry 5 is missing, in its place stands entry 6/),
);
tampered(
  "a deleted last line",
  file((lines) => lines.slice(0, -1)),
  isFault("file", 12, /entry 12 is missing at the end/),
);
tampered("an emptied file", file(() => []), isFault("file", 1, /entry 1 is missing at the end/));
tampered("a removed file", ({ file }) => Deno.remove(file), isFault("file", 1, /entry 1 is missing at the end/));
tampered(
  "a line that is there twice",
  file((lines) => lines.toSpliced(4, 0, lines[3] ?? "")),
  isFault("file", 5, /in its place stands entry 4/),
);
tampered(
  "two swapped lines",
  file((lines) => lines.with(3, lines[6] ?? "").with(6, lines[3] ?? "")),
  isFault("file", 4, /in its place stands entry 7/),
);
tampered(
  "a last line that was cut",
  async ({ file }) => await Deno.truncate(file, (await Deno.stat(file)).size - 10),
  isFault("file", 12, /the line of entry 12 is cut/),
);
tampered(
  "an empty line",
  file((lines) => lines.toSpliced(4, 0, "")),
  isFault("file", 5, /the line of entry 5 was changed/),
);
tampered(
  "a line added behind the last one",
  file((lines) => [...lines, lines[0] ?? ""]),
  isFault("file", 13, /a line was added behind the last entry, 12/),
);
tampered(
  "bytes that are no UTF-8",
  async ({ file }) => {
    const bytes = await Deno.readFile(file);
    bytes[bytes.indexOf(10) - 80] = 0xff;
    await Deno.writeFile(file, bytes);
  },
  isFault("file", 1, /the line of entry 1 was changed/),
);
tampered(
  "a megabyte without a line feed",
  ({ file }) => Deno.writeFile(file, new Uint8Array(1 << 20)),
  isFault("file", 1, /the line of entry 1 is cut/),
);
tampered(
  "a line that a newline was removed from",
  async ({ file, lines }) => {
    const [first, second, ...rest] = await lines();
    await Deno.writeTextFile(file, [`${first}${second}`, ...rest, ""].join("\n"));
  },
  isFault("file", 1, /the line of entry 1 was changed/),
);

/** The line of an entry with another model and a hash that fits, as a tamperer with some patience writes it. */
function reforged(line: string): string {
  const { seq, prev, hash: _hash, ...rest } = entryOf(line);
  return placed({ ...rest, model: "other:1b" }, { seq: seq - 1, hash: prev }).line;
}

async function reforgeRow(store: Store, line: string): Promise<void> {
  const { model, hash, seq } = entryOf(line);
  await store.updateTable("audit_entries").set({ model, hash }).where("seq", "=", seq).execute();
}

tampered(
  "an entry rewritten with a hash that fits, in the file",
  file((lines) => lines.with(5, reforged(lines[5] ?? ""))),
  isFault("both", 6, /hold different entries 6, each whole by itself/),
);
tampered(
  "an entry rewritten with a hash that fits, in the database",
  async ({ lines }, store) => await reforgeRow(store, reforged((await lines())[5] ?? "")),
  isFault("both", 6, /hold different entries 6, each whole by itself/),
);
tampered(
  "an entry rewritten with a hash that fits, in both",
  async ({ lines, rewrite }, store) => {
    const all = await lines();
    const line = reforged(all[5] ?? "");
    await rewrite(all.with(5, line));
    await reforgeRow(store, line);
  },
  isFault("both", 7, /entry 7 does not follow from entry 6/),
);
tampered(
  "an entry removed from both",
  async ({ lines, rewrite }, store) => {
    await rewrite((await lines()).toSpliced(5, 1));
    await store.deleteFrom("audit_entries").where("seq", "=", 6).execute();
  },
  isFault("both", 6, /entry 6 is missing/),
);
tampered(
  "a chain that was begun anew in both",
  async ({ lines, rewrite }, store) => {
    const all = await lines();
    const { seq: _seq, prev: _prev, hash: _hash, ...rest } = entryOf(all[0] ?? "");
    const { entry, line } = placed(rest, { seq: 0, hash: "1".repeat(64) });
    await rewrite(all.with(0, line));
    await store.updateTable("audit_entries").set(entry).where("seq", "=", 1).execute();
  },
  isFault("both", 1, /entry 1 is not the first of its chain/),
);

Deno.test("T28 R09: AuditLog.verify() finds a change of any single byte of the file", () =>
  withFixture((fixture) =>
    fixture.opened(async (log) => {
      await fill(log, 12);
      const bytes = await Deno.readFile(fixture.file);
      // A stride that is prime to the length of a line meets every place of a line; ARK_LONG tries all bytes.
      const stride = Deno.env.get("ARK_LONG") === "1" ? 1 : 13;
      for (let index = 0; index < bytes.length; index += stride) {
        const changed = bytes.slice();
        changed[index] = (changed[index] ?? 0) ^ 1;
        await Deno.writeFile(fixture.file, changed);
        const verdict = await log.verify();
        const seq = bytes.subarray(0, index).filter((byte) => byte === 10).length + 1;
        assert.deepEqual(
          { ok: verdict.ok, ...verdict.ok ? {} : { seq: verdict.seq } },
          { ok: false, seq },
          `byte ${index}`,
        );
      }
      await Deno.writeFile(fixture.file, bytes);
      await soundEntries(log);
    })
  ));
