/**
 * What a durable audit entry costs: `deno run -A test/bench/audit_bench.ts [DIRECTORY]`, or `deno task bench audit`.
 *
 * By itself it prints the alternatives on the same disk first (the reason for the file-first design). DIRECTORY decides
 * which disk is measured; the default is a temporary one beside this file, because `/tmp` is often no disk at all.
 */
import { DatabaseSync } from "node:sqlite";
import { AuditLog, type AuditRecord } from "@ark/node/audit";
import { generateIdentity } from "@ark/node/identity";
import { openStore } from "@ark/node/store";
import { heading, result, row, Samples } from "./samples.ts";

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
const CALLERS = 64;
const MILLION = 1_000_000;
const HERE = new URL(".", import.meta.url).pathname;

/** Measures one call after the other. With `gapMs` the disk and the processor rest between the calls. */
async function measure(
  name: string,
  work: () => unknown,
  { gapMs = 0, count = COUNT }: { gapMs?: number; count?: number } = {},
): Promise<void> {
  const samples = new Samples();
  for (let index = 0; index < count; index++) {
    if (gapMs > 0) await new Promise((resolve) => setTimeout(resolve, gapMs));
    const began = performance.now();
    await work();
    samples.add(performance.now() - began);
  }
  row(name, samples);
}

async function measureAlternatives(directory: string): Promise<void> {
  heading("One durable write of an entry's size");
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

/** 64 callers, each with its next entry as soon as the last one is durable. */
async function measureGroups(audit: AuditLog, count: number): Promise<{ samples: Samples; perSecond: number }> {
  const samples = new Samples();
  const began = performance.now();
  let left = count;
  await Promise.all(Array.from({ length: CALLERS }, async () => {
    while (left-- > 0) {
      const start = performance.now();
      await audit.append(RECORD);
      samples.add(performance.now() - start);
    }
  }));
  return { samples, perSecond: count / (performance.now() - began) * 1_000 };
}

async function measureAuditLog(directory: string): Promise<void> {
  await using store = await openStore(`${directory}/ark.db`);
  await using audit = await AuditLog.open({
    store,
    mirror: `${directory}/audit.log`,
    identity: generateIdentity(),
  });
  const stop = new AbortController();
  const running = audit.checkpoints.run(stop.signal);
  heading("The audit log");
  await measure("append(), one after the other", () => audit.append(RECORD), { count: 5_000 });
  await measure("append(), every 3 ms", () => audit.append(RECORD), { gapMs: 3, count: 500 });

  const rounds: { samples: Samples; perSecond: number }[] = [];
  for (let round = 0; round < 5; round++) {
    rounds.push(await measureGroups(audit, 20_000));
    // The database is as far as the file before the next round begins: each pays for its own entries.
    await audit.tail(1);
  }
  const median = rounds.toSorted((a, b) => a.perSecond - b.perSecond)[rounds.length >> 1];
  if (median !== undefined) row(`append(), ${CALLERS} callers at once`, median.samples);
  result("entries per second, median of 5 rounds", String(Math.round(median?.perSecond ?? 0)), "20,000");
  result("p99 of a caller's wait", `${median?.samples.p99.toFixed(2)} ms`, "5 ms");

  const entries = Number(Deno.env.get("ARK_BENCH_ENTRIES") ?? MILLION);
  while ((await audit.append(RECORD)).seq < entries) {
    await Promise.all(Array.from({ length: 4_999 }, () => audit.append(RECORD)));
    await audit.tail(1);
  }
  const times = new Samples();
  for (let round = 0; round < 3; round++) {
    const start = performance.now();
    const verdict = await audit.verify();
    times.add(performance.now() - start);
    if (!verdict.ok) throw new Error(verdict.reason);
  }
  const [last] = await audit.tail(1);
  const name = `verify() of ${last?.seq} entries, median of 3`;
  result(name, `${(times.median / 1_000).toFixed(1)} s`, `${10 * entries / MILLION} s`);
  stop.abort();
  await running;
}

async function within(parent: string, work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ dir: parent, suffix: ".part" });
  try {
    await work(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Measures and prints. A million entries take some minutes to write; `ARK_BENCH_ENTRIES` is another number. */
export async function auditBench(): Promise<void> {
  await within(HERE, measureAuditLog);
}

if (import.meta.main) {
  await within(Deno.args[0] ?? HERE, async (directory) => {
    await measureAlternatives(directory);
    await measureAuditLog(directory);
  });
}
