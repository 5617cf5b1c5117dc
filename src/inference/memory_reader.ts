import { closeSync, openSync, readSync } from "node:fs";

/** Memory as it was at one moment. Each count grows from the start of the machine, or of the group. */
export interface MemoryReading {
  /** When, by the monotonic clock, in milliseconds. */
  ms: number;
  /** How long all programs of the machine waited for memory at once, in microseconds (`/proc/pressure/memory`). */
  stalledUs: number | null;
  /** The same for the programs of the node's own control group. */
  ownStalledUs: number | null;
  /** Pages that were read back from swap. */
  swappedIn: number | null;
  /** Pages that had to be read from a disk, because they were not in memory. */
  majorFaults: number | null;
  /** Memory that there is for programs, in bytes: the machine's, or the control group's where that has a limit. */
  totalBytes: number | null;
  /** What of it is free, or holds what can be read from its file again, in bytes. */
  availableBytes: number | null;
}

/** Longest file that is read, in bytes: `vmstat` has some 5 KiB. */
const FILE_BYTES = 64 << 10;
/** Where control groups of version 2 lie: alone, or beside those of version 1. */
const GROUP_ROOTS = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/** No limit of a group is a number near the largest there is. */
const NO_LIMIT = 2 ** 60;

/** How long it counts where the node's own control group is, and which files there are not, in milliseconds. */
const KNOWN_MS = 60_000;
/** Into which every file is read, one after the other. */
const BUFFER = new Uint8Array(FILE_BYTES);
const DECODER = new TextDecoder();

/** Options of {@linkcode readMemory}. */
export interface ReadMemoryOptions {
  /** Put before every path. @default {""} */
  root?: string;
  /** The node's own control group, such as `/system.slice/ark.service`; without it, what `/proc/self/cgroup` says. */
  group?: string;
}

/** Options of {@linkcode MemoryReader}. */
export interface MemoryReaderOptions extends ReadMemoryOptions {
  /** The monotonic clock, in milliseconds. */
  now?(): number;
}

/**
 * Reads how memory stands, once. Never fails: what cannot be read is null. macOS and Windows have none of the files, and a
 * program that Deno lets read no more than its permissions say has `/proc/pressure` alone: both know how much memory
 * there is, and how much of it is available.
 */
export function readMemory(options: ReadMemoryOptions = {}): Promise<MemoryReading> {
  return Promise.resolve(new MemoryReader(options).read());
}

/**
 * Reads how memory stands again and again, at little cost: files that are not there are not looked for each time. What
 * has come since, and a move to another control group, is seen within a minute.
 *
 * The files are read at once and not by a thread: none of them is on a disk, so that each takes some ten microseconds,
 * and handing it to a thread and back takes several times that.
 */
export class MemoryReader {
  readonly #root: string;
  readonly #group: string | undefined;
  readonly #now: () => number;
  readonly #absent = new Set<string>();
  #groups: OwnGroups = { v2: null, v1: null };
  #knownAt = -Infinity;

  /** Makes a reader that has not read yet. */
  constructor({ root = "", group, now = () => performance.now() }: MemoryReaderOptions = {}) {
    this.#root = root;
    this.#group = group;
    this.#now = now;
  }

  /** Reads once, as {@linkcode readMemory} does. */
  read(): MemoryReading {
    const ms = this.#now();
    if (ms - this.#knownAt >= KNOWN_MS) {
      this.#knownAt = ms;
      this.#absent.clear();
      this.#groups = this.#group === undefined
        ? groupsIn(this.#text("/proc/self/cgroup"))
        : { v2: this.#group, v1: null };
    }
    const pressure = this.#text("/proc/pressure/memory");
    const vmstat = this.#text("/proc/vmstat");
    const meminfo = this.#text("/proc/meminfo");
    const own = this.#ownGroup();
    const told = meminfo === "" && this.#root === "" ? systemMemory() : null;
    const total = told?.total ?? lineValue(meminfo, /^MemTotal:\s+(\d+) kB$/m, 1_024);
    const available = told?.available ?? lineValue(meminfo, /^MemAvailable:\s+(\d+) kB$/m, 1_024);
    return {
      ms,
      stalledUs: stallIn(pressure),
      ownStalledUs: stallIn(own.pressure),
      swappedIn: lineValue(vmstat, /^pswpin (\d+)$/m),
      majorFaults: lineValue(vmstat, /^pgmajfault (\d+)$/m),
      totalBytes: least(total, own.limit),
      availableBytes: least(available, own.available),
    };
  }

  /** The node's own group: of version 2, and of version 1 where the machine limits memory there. */
  #ownGroup(): Group {
    const { v2, v1 } = this.#groups;
    const found: Group = { pressure: "", limit: null, available: null };
    for (const base of v2 === null ? [] : GROUP_ROOTS.map((root) => root + v2)) {
      found.pressure ||= this.#text(`${base}/memory.pressure`);
      const limit = lineValue(this.#text(`${base}/memory.max`), /^(\d+)$/m);
      if (limit === null) continue;
      const used = lineValue(this.#text(`${base}/memory.current`), /^(\d+)$/m);
      const file = lineValue(this.#text(`${base}/memory.stat`), /^file (\d+)$/m) ?? 0;
      return { ...found, limit, available: used === null ? null : Math.max(0, limit - Math.max(0, used - file)) };
    }
    const base = v1 === null ? null : `/sys/fs/cgroup/memory${v1}`;
    const limit = base === null ? null : lineValue(this.#text(`${base}/memory.limit_in_bytes`), /^(\d+)$/m);
    if (base === null || limit === null || limit >= NO_LIMIT) return found;
    const used = lineValue(this.#text(`${base}/memory.usage_in_bytes`), /^(\d+)$/m);
    const file = lineValue(this.#text(`${base}/memory.stat`), /^total_cache (\d+)$/m) ?? 0;
    return { ...found, limit, available: used === null ? null : Math.max(0, limit - Math.max(0, used - file)) };
  }

  /** What a file says, or nothing where it cannot be read. */
  #text(path: string): string {
    if (this.#absent.has(path)) return "";
    let file: number;
    try {
      file = openSync(this.#root + path, "r");
    } catch (error) {
      // What fails for want of descriptors, say, is there the next time.
      if ((error as NodeJS.ErrnoException).code === "ENOENT") this.#absent.add(path);
      return "";
    }
    try {
      let length = 0;
      while (length < BUFFER.length) {
        const read = readSync(file, BUFFER, length, BUFFER.length - length, null);
        if (read === 0) break;
        length += read;
      }
      return DECODER.decode(BUFFER.subarray(0, length));
    } catch {
      return "";
    } finally {
      closeSync(file);
    }
  }
}

function systemMemory(): { total: number; available: number } | null {
  try {
    const { total, available } = Deno.systemMemoryInfo();
    return total > 0 ? { total, available } : null;
  } catch {
    return null;
  }
}

interface Group {
  pressure: string;
  limit: number | null;
  available: number | null;
}

interface OwnGroups {
  v2: string | null;
  v1: string | null;
}

/** Where this process stands, as `/proc/self/cgroup` says. */
function groupsIn(text: string): OwnGroups {
  const v2 = /^0::(\/.*)$/m.exec(text)?.[1] ?? null;
  const v1 = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(\/.*)$/m.exec(text)?.[1] ?? null;
  return { v2: pathOf(v2), v1: pathOf(v1) };
}

/** A group's path as it is put behind a root, or null where it leads elsewhere. */
function pathOf(group: string | null): string | null {
  if (group === null || group.split("/").includes("..")) return null;
  return group === "/" ? "" : group;
}

/** How long all waited at once. */
function stallIn(pressure: string): number | null {
  return lineValue(pressure, /^full .*\btotal=(\d+)$/m);
}

function lineValue(text: string, pattern: RegExp, factor = 1): number | null {
  const value = Number(pattern.exec(text)?.[1] ?? NaN) * factor;
  return Number.isSafeInteger(value) ? value : null;
}

function least(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}
