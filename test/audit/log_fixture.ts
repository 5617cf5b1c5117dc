import assert from "node:assert/strict";
import { type AuditEntry, AuditLog, type AuditLogOptions, type AuditRecord } from "@ark/node/audit";
import { openStore, type Store } from "@ark/node/store";
import type { UnplacedEntry } from "../../src/audit/audit_record.ts";
import { type Head, place } from "../../src/audit/chain.ts";

/** An audit log on a disk, with what a test needs to tamper with it. */
export interface LogFixture {
  directory: string;
  /** Path of `audit.log`. */
  file: string;
  /** Opens store and log, hands them over, and closes them. */
  opened<T>(work: (log: AuditLog, store: Store) => Promise<T>, options?: Partial<AuditLogOptions>): Promise<T>;
  /** The lines of `audit.log`, without their line feeds. */
  lines(): Promise<string[]>;
  /** Writes the lines of `audit.log` anew. */
  rewrite(lines: string[]): Promise<void>;
}

export async function withFixture(test: (fixture: LogFixture) => Promise<void>, parent?: string): Promise<void> {
  const directory = await Deno.makeTempDir(parent === undefined ? {} : { dir: parent });
  const file = `${directory}/audit.log`;
  try {
    await test({
      directory,
      file,
      async opened(work, options = {}) {
        await using store = await openStore(`${directory}/ark.db`);
        await using log = await AuditLog.open({ store, mirror: file, ...options });
        return await work(log, store);
      },
      async lines() {
        const text = await Deno.readTextFile(file);
        assert.ok(text === "" || text.endsWith("\n"), "audit.log must end in a whole line");
        return text.split("\n").slice(0, -1);
      },
      rewrite: (lines) => Deno.writeTextFile(file, lines.map((line) => line + "\n").join("")),
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Puts an entry behind `head`, and gives it with its line. */
export function placed(unplaced: UnplacedEntry, head: Head): { entry: AuditEntry; line: string } {
  const bytes = new Uint8Array(16 << 10);
  const { entry, end } = place(unplaced, head, { bytes, at: 7 });
  const line = new TextDecoder().decode(bytes.subarray(7, end - 1));
  assert.equal(bytes[end - 1], 10);
  return { entry, line };
}

/** Verifies the log and returns how many entries it has; fails where one is bad. */
export async function soundEntries(log: AuditLog): Promise<number> {
  const verdict = await log.verify();
  assert.ok(verdict.ok, verdict.ok ? "" : verdict.reason);
  return verdict.entries;
}

/** Says why a test was not run to its end. */
export function skipped(reason: string): void {
  // deno-lint-ignore no-console
  console.log(`Skipped: ${reason}`);
}

/** A record with every field, different for every number. */
export function fullRecord(number: number): AuditRecord {
  return {
    kind: "end",
    direction: number % 2 === 0 ? "in" : "out",
    peer: "abcdefgh".repeat(7),
    model: `model-${number}:8b`,
    digest: hex(number, "d"),
    prompt_tokens: 100 + number,
    completion_tokens: 200 + number,
    ms: number + 0.5,
    outcome: "ok",
    request: hex(number, "a"),
    receipt: hex(number, "b"),
    count: 1 + number,
  };
}

/** Appends `count` full records, a few at a time. */
export async function fill(log: AuditLog, count: number): Promise<void> {
  for (let number = 1; number <= count; number += 3) {
    await Promise.all(
      [0, 1, 2].filter((more) => number + more <= count).map((more) => log.append(fullRecord(number + more))),
    );
  }
}

function hex(number: number, letter: string): string {
  return number.toString(16).padStart(64, letter);
}
