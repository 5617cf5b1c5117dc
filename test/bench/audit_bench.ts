/**
 * What a durable audit entry costs: `deno run -A test/bench/audit_bench.ts [DIRECTORY]`, or `deno task bench audit`.
 *
 * By itself it prints the alternatives on the same disk first (the reason for the file-first design). DIRECTORY decides
 * which disk is measured; the default is a temporary one beside this file, because `/tmp` is often no disk at all.
 */
import { DatabaseSync } from "node:sqlite";
import { setImmediate } from "node:timers";
import { AuditLog, type AuditRecord } from "@ark/node/audit";
import { generateIdentity } from "@ark/node/identity";
import { ArkError } from "@ark/node/protocol";
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
/** Entries of a round, and rounds. */
const ROUND = 20_000;
const ROUNDS = 5;
/** The journal of a node. */
const JOURNAL_BYTES = 32 << 20;
/** Entries a second that are promised, and those that are offered to see it: a log cannot be faster than its callers. */
const RATE = 20_000;
const OFFERED = 1.05 * RATE;
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

/** What was measured of many entries. */
interface Round {
  samples: Samples;
  /** Of those that were recorded. */
  perSecond: number;
  /** How many were not recorded, because too many waited. */
  refused: number;
}

/** So many callers, each with its next entry as soon as the last one is durable. */
async function closedLoop(append: () => Promise<unknown>, callers: number): Promise<Round> {
  const samples = new Samples();
  const began = performance.now();
  let left = ROUND;
  await Promise.all(Array.from({ length: callers }, async () => {
    while (left-- > 0) {
      const start = performance.now();
      await append();
      samples.add(performance.now() - start);
    }
  }));
  return { samples, perSecond: ROUND / (performance.now() - began) * 1_000, refused: 0 };
}

/** How entries come: each at its time, as requests do, or those of a timer's millisecond together. */
type Pace = "evenly" | "in bursts";

/**
 * Entries that come at a rate, whether or not those before are durable. A wait is counted from when the entry was due, so
 * what came late because the event loop was held up pays for that, too; where they come in bursts, the timer's lateness is
 * in it. Nothing is kept of an entry but its time: what a measurement keeps, the collection of garbage walks.
 */
async function openLoop(append: () => Promise<unknown>, { rate, pace }: { rate: number; pace: Pace }): Promise<Round> {
  const samples = new Samples();
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  let [recorded, refused] = [0, 0];
  const began = performance.now();
  for (let index = 0; index < ROUND;) {
    const due = Math.min(ROUND, Math.floor((performance.now() - began) * rate / 1_000));
    for (; index < due; index++) {
      const start = began + (index + 1) * 1_000 / rate;
      append().then(() => {
        samples.add(performance.now() - start);
        recorded++;
      }, (error) => {
        if (!(error instanceof ArkError)) throw error;
        refused++;
      }).finally(() => recorded + refused === ROUND && end());
    }
    await new Promise<void>((resolve) => {
      if (pace === "evenly") setImmediate(resolve);
      else setTimeout(resolve, 1);
    });
  }
  await ended;
  return { samples, perSecond: recorded / (performance.now() - began) * 1_000, refused };
}

/** Rounds of the log and of the bare files in turn; each line says the median round. */
async function measureLoad(
  name: string,
  { audit, bare, ring }: { audit: AuditLog; bare: BareFile; ring: BareFile },
  load: (append: () => Promise<unknown>) => Promise<Round>,
): Promise<Round> {
  const [rounds, bareRounds, ringRounds]: [Round[], Round[], Round[]] = [[], [], []];
  for (let round = 0; round < ROUNDS; round++) {
    bareRounds.push(await load(() => bare.append()));
    ringRounds.push(await load(() => ring.append()));
    rounds.push(await load(() => audit.append(RECORD)));
    // The database is as far as the file before the next round begins: each pays for its own entries.
    await audit.tail(1);
  }
  const median = medianOf(rounds);
  result(name, shown(median));
  result("    bare file that grows", shown(medianOf(bareRounds)));
  result("    bare file that was written before", shown(medianOf(ringRounds)));
  return median;
}

/** The round whose tail is the median of all. */
function medianOf(rounds: Round[]): Round {
  const median = rounds.toSorted((a, b) => a.samples.p99 - b.samples.p99)[rounds.length >> 1];
  if (median === undefined) throw new RangeError("There was no round");
  return median;
}

function shown({ samples, perSecond, refused }: Round): string {
  const [p50, p99] = [samples.median, samples.p99].map((ms) => ms.toFixed(2).padStart(6));
  const without = refused === 0 ? "" : `  ${refused} refused`;
  return `${perSecond.toFixed(0).padStart(6)}/s  p50${p50}  p99${p99} ms${without}`;
}

/** The least that durable lines cost with group commit: no hash, no chain, no database. */
class BareFile implements Disposable {
  readonly #file: Deno.FsFile;
  readonly #size: number;
  #at = 0;
  #waiting: (() => void)[] = [];

  /** With a size, a ring of blocks that are written before; else a file that grows. */
  constructor(path: string, size = Infinity) {
    this.#file = Deno.openSync(path, { create: true, write: true });
    this.#size = size;
    if (size === Infinity) return;
    this.#file.writeSync(new Uint8Array(size));
    this.#file.syncSync();
  }

  append(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#waiting.push(resolve) === 1) setImmediate(() => this.#commit());
    return promise;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  #commit(): void {
    const waiting = this.#waiting.splice(0);
    const bytes = new Uint8Array(waiting.length * LINE.length);
    for (let at = 0; at < bytes.length; at += LINE.length) bytes.set(LINE, at);
    if (this.#at + bytes.length > this.#size) this.#at = 0;
    this.#file.seekSync(this.#at, Deno.SeekMode.Start);
    this.#at += this.#file.writeSync(bytes);
    this.#file.syncDataSync();
    for (const resolve of waiting) resolve();
  }
}

async function measureAuditLog(directory: string): Promise<void> {
  await using store = await openStore(`${directory}/ark.db`);
  await using audit = await AuditLog.open({
    store,
    mirror: `${directory}/audit.log`,
    identity: generateIdentity(),
    journalBytes: JOURNAL_BYTES,
  });
  const stop = new AbortController();
  const running = Promise.all([
    audit.checkpoints.run(stop.signal),
    audit.keepReserve(stop.signal, { afterMs: 0 }),
  ]);
  heading("The audit log");
  await measure("append(), one after the other", () => audit.append(RECORD), { count: 5_000 });
  await measure("append(), every 3 ms", () => audit.append(RECORD), { gapMs: 3, count: 500 });

  using bare = new BareFile(`${directory}/bare.log`);
  using ring = new BareFile(`${directory}/bare.ring`, JOURNAL_BYTES);
  const logs = { audit, bare, ring };
  for (const callers of [8, 16, 32, 64, 128, 256]) {
    const { samples, perSecond } = await measureLoad(
      `append(), ${callers} callers at once`,
      logs,
      (append) => closedLoop(append, callers),
    );
    if (perSecond >= RATE) result(`p99 of the wait of ${callers} callers`, `${samples.p99.toFixed(2)} ms`, "5 ms");
  }
  for (const pace of ["evenly", "in bursts"] as const) {
    for (const rate of [RATE / 2, OFFERED]) {
      const { samples, perSecond } = await measureLoad(
        `append(), ${rate} a second offered ${pace}`,
        logs,
        (append) => openLoop(append, { rate, pace }),
      );
      if (rate < OFFERED) continue;
      result(`entries per second, offered ${pace}`, perSecond.toFixed(0), "20,000");
      result("p99 from when an entry is due until it is durable", `${samples.p99.toFixed(2)} ms`, "5 ms");
    }
  }

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
  result(name, `${(times.median / 1_000).toFixed(1)} s`, `${(10 * (last?.seq ?? 0) / MILLION).toFixed(1)} s`);
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
