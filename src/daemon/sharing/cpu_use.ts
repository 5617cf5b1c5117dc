import { cpus } from "node:os";
import process from "node:process";
import { familyOf, listProcesses, type ProcessTimes } from "./own_processes.ts";
import { cannotTell, type OwnWork, type UseDetector, type UseReading } from "./use_detector.ts";

/** Time of the processors at one moment, in milliseconds since the machine started, all processors together. */
export interface CpuTimes {
  /** All that there was. */
  readonly all: number;
  /** What programs used that are not nice to others. */
  readonly used: number;
}

/** Options of {@linkcode CpuUse}. */
export interface CpuUseOptions {
  /** What this node does itself. */
  own: OwnWork;
  /** Part of all processors that others must use to count. @default {0.25} */
  bound?: number;
  /** Whether it counts on this machine at all; without it, it does. */
  counts?(): Promise<boolean>;
  /** Reads the times of the processors. */
  times?(): CpuTimes | null;
  /** Reads the processes. */
  processes?(): Promise<Map<number, ProcessTimes> | null>;
}

/** A shorter time tells nothing, in milliseconds. */
const LEAST_MS = 500;

/**
 * Looks whether other programs use the processors, beside this node and its workers. What is nice to others, such as
 * indexing in the background, does not count. Where the system does not tell of processes, or this program may not
 * read that, it can tell only while no model of this node works.
 */
export class CpuUse implements UseDetector {
  readonly what = "cpu";
  readonly everyMs = 5_000;
  readonly #options: Required<Omit<CpuUseOptions, "counts">> & Pick<CpuUseOptions, "counts">;
  #before: { times: CpuTimes; own: Map<number, number> | null; self: number; worked: boolean } | null = null;

  /** Has not looked yet. */
  constructor(options: CpuUseOptions) {
    this.#options = {
      bound: 0.25,
      times: cpuTimes,
      processes: () => listProcesses(),
      ...options,
    };
  }

  /** Compares the times with those of the last look. */
  async look(): Promise<UseReading> {
    const { own, bound, counts, times: read, processes } = this.#options;
    if (counts !== undefined && !await counts()) {
      return cannotTell("nobody is logged in at this machine's screen, so that its work is its own");
    }
    const before = this.#before;
    const times = read();
    if (times === null) return cannotTell("the system does not tell how its processors are used");
    const all = await processes();
    const now = { times, own: all === null ? null : timesOf(all), self: selfMs(), worked: own.working() };
    this.#before = now;
    const span = times.all - (before?.times.all ?? times.all);
    if (before === null || span < LEAST_MS) return cannotTell("it was not looked for long enough");
    if (now.own === null && (now.worked || before.worked)) {
      return cannotTell("this program may not read what its own workers use, and one of them works");
    }
    const mine = now.own === null ? Math.max(0, now.self - before.self) : growth(before.own ?? new Map(), now.own);
    const others = Math.max(0, times.used - before.times.used - mine) / span;
    if (others < bound) return { kind: "calm" };
    return {
      kind: "used",
      sentence: `Other programs use ${Math.min(100, Math.round(others * 100))} % of the processors`,
    };
  }
}

/** Times of all processors together, or null where this program may not know. */
export function cpuTimes(): CpuTimes | null {
  try {
    let [all, used] = [0, 0];
    for (const { times } of cpus()) {
      used += times.user + times.sys + times.irq;
      all += times.user + times.sys + times.irq + times.nice + times.idle;
    }
    return all > 0 ? { all, used } : null;
  } catch {
    return null;
  }
}

function selfMs(): number {
  try {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  } catch {
    return 0;
  }
}

/** What this node and its workers have used, by process. */
function timesOf(all: ReadonlyMap<number, ProcessTimes>): Map<number, number> {
  return new Map([...familyOf([Deno.pid], all)].flatMap((id) => {
    const known = all.get(id);
    return known === undefined ? [] : [[id, known.cpuMs]];
  }));
}

function growth(before: ReadonlyMap<number, number>, now: ReadonlyMap<number, number>): number {
  let sum = 0;
  for (const [id, ms] of now) sum += Math.max(0, ms - (before.get(id) ?? 0));
  return sum;
}
