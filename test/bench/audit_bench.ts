// deno-lint-ignore-file no-console
/**
 * What a durable audit entry costs: `deno run -A test/bench/audit_bench.ts [DIRECTORY]`.
 *
 * Prints the alternatives on the same disk (the reason for the file-first design), then the audit log itself: one
 * append at a time, 64 at once, and the speed of `verify()` over 100,000 entries. DIRECTORY decides which disk is
 * measured; the default is a temporary one beside this file, because `/tmp` is often no disk at all.
 */
import { DatabaseSync } from "node:sqlite";
import { AuditLog, type AuditRecord } from "@ark/node/audit";
import { openStore } from "@ark/node/store";

const RECORD: AuditRecord = {
  kind: "end",
  direction: "in",
  peer: "a".repeat(56),
  model: "llama3.1:8b",
  digest: "b".repeat(64),
  prompt_tokens: 512,
  completion_tokens: 128,
  ms: 1234.567,
  outcome: "ok",
  request: "c".repeat(64),
  receipt: "d".repeat(64),
};
const LINE = new TextEncoder().encode("x".repeat(760) + "\n");
const COUNT = 2_000;

/** Prints median and 99th percentile in milliseconds. With `gapMs` the disk and the processor rest between the calls. */
async function measure(
  name: string,
  work: () => unknown,
  { gapMs = 0, count = COUNT }: { gapMs?: number; count?: number } = {},
): Promise<void> {
  const times: number[] = [];
  for (let index = 0; index < count; index++) {
    if (gapMs > 0) await new Promise((resolve) => setTimeout(resolve, gapMs));
    const began = performance.now();
    await work();
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  const [median, p99, most] = [times[count >> 1], times[Math.floor(count * 0.99)], times.at(-1)];
  console.log(
    `${name.padEnd(52)} median ${median?.toFixed(3)} ms   p99 ${p99?.toFixed(3)} ms   max ${most?.toFixed(2)} ms`,
  );
}

async function measureAlternatives(directory: string): Promise<void> {
  using sqlite = new DatabaseSync(`${directory}/alternative.db`);
  sqlite.exec(
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE entries (seq INTEGER PRIMARY KEY, line)",
  );
  const insert = sqlite.prepare("INSERT INTO entries (line) VALUES (?)");
  const text = new TextDecoder().decode(LINE);
  for (const gapMs of [0, 3]) {
    const count = gapMs === 0 ? COUNT : 500;
    const rest = gapMs === 0 ? "" : `, every ${gapMs} ms`;
    await measure(`SQLite, WAL, synchronous=FULL${rest}`, () => insert.run(text), { gapMs, count });
    using file = await Deno.open(`${directory}/alternative${gapMs}.log`, { create: true, append: true });
    await measure(`file, fdatasync${rest}`, () => {
      file.writeSync(LINE);
      file.syncDataSync();
    }, { gapMs, count });
    await measure(`file, fdatasync in a thread${rest}`, async () => {
      file.writeSync(LINE);
      await file.syncData();
    }, { gapMs, count });
    using full = await Deno.open(`${directory}/preallocated${gapMs}.log`, { create: true, write: true });
    await full.write(new Uint8Array(2 * COUNT * LINE.length).fill(32));
    await full.seek(0, Deno.SeekMode.Start);
    await full.sync();
    await measure(`preallocated file, fdatasync${rest}`, () => {
      full.writeSync(LINE);
      full.syncDataSync();
    }, { gapMs, count });
  }
}

async function measureAuditLog(directory: string): Promise<void> {
  await using store = await openStore(`${directory}/ark.db`);
  await using audit = await AuditLog.open({ store, mirror: `${directory}/audit.log` });
  await measure("append(), one after the other", () => audit.append(RECORD), { count: 5_000 });
  await measure("append(), every 3 ms", () => audit.append(RECORD), { gapMs: 3, count: 1_000 });

  const began = performance.now();
  const total = 64 * 200;
  const times: number[] = [];
  await Promise.all(Array.from({ length: 64 }, async () => {
    for (let index = 0; index < total / 64; index++) {
      const start = performance.now();
      await audit.append(RECORD);
      times.push(performance.now() - start);
    }
  }));
  times.sort((a, b) => a - b);
  const perSecond = Math.round(total / (performance.now() - began) * 1000);
  console.log(
    `${"append(), 64 at once".padEnd(52)} median ${times[total >> 1]?.toFixed(3)} ms   ${perSecond} entries/s`,
  );

  while ((await audit.append(RECORD)).seq < 100_000) {
    await Promise.all(Array.from({ length: 999 }, () => audit.append(RECORD)));
  }
  await audit.tail(1);
  const start = performance.now();
  const verdict = await audit.verify();
  const ms = performance.now() - start;
  console.log(`verify(): ok ${verdict.ok}, ${verdict.entries} entries in ${Math.round(ms)} ms`);
}

async function main(parent: string): Promise<void> {
  const directory = await Deno.makeTempDir({ dir: parent });
  try {
    await measureAlternatives(directory);
    await measureAuditLog(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

if (import.meta.main) await main(Deno.args[0] ?? new URL(".", import.meta.url).pathname);
