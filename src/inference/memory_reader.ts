import { open } from "node:fs/promises";

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

/** Options of {@linkcode readMemory}. */
export interface ReadMemoryOptions {
  /** Put before every path. @default {""} */
  root?: string;
  /** The node's own control group, such as `/system.slice/ark.service`; without it, what `/proc/self/cgroup` says. */
  group?: string;
}

/**
 * Reads how memory stands. Never fails: what cannot be read is null. macOS and Windows have none of the files, and a
 * program that Deno lets read no more than its permissions say has `/proc/pressure` alone: both know how much memory
 * there is, and how much of it is available.
 */
export async function readMemory({ root = "", group }: ReadMemoryOptions = {}): Promise<MemoryReading> {
  const read = (path: string) => textOf(root + path);
  const [pressure, vmstat, meminfo] = await Promise.all([
    read("/proc/pressure/memory"),
    read("/proc/vmstat"),
    read("/proc/meminfo"),
  ]);
  const own = await ownGroup(read, group ?? groupIn(await read("/proc/self/cgroup")));
  const told = meminfo === "" && root === "" ? systemMemory() : null;
  const total = told?.total ?? lineValue(meminfo, /^MemTotal:\s+(\d+) kB$/m, 1_024);
  const available = told?.available ?? lineValue(meminfo, /^MemAvailable:\s+(\d+) kB$/m, 1_024);
  return {
    ms: performance.now(),
    stalledUs: stallIn(pressure),
    ownStalledUs: stallIn(own.pressure),
    swappedIn: lineValue(vmstat, /^pswpin (\d+)$/m),
    majorFaults: lineValue(vmstat, /^pgmajfault (\d+)$/m),
    totalBytes: least(total, own.limit),
    availableBytes: least(available, own.available),
  };
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

/** The node's own group: of version 2, and of version 1 where the machine limits memory there. */
async function ownGroup(read: (path: string) => Promise<string>, group: OwnGroups | string | null): Promise<Group> {
  const { v2, v1 } = typeof group === "string" ? { v2: group, v1: null } : group ?? { v2: null, v1: null };
  const found: Group = { pressure: "", limit: null, available: null };
  for (const base of v2 === null ? [] : GROUP_ROOTS.map((root) => root + v2)) {
    found.pressure ||= await read(`${base}/memory.pressure`);
    const limit = lineValue(await read(`${base}/memory.max`), /^(\d+)$/m);
    if (limit === null) continue;
    const used = lineValue(await read(`${base}/memory.current`), /^(\d+)$/m);
    const file = lineValue(await read(`${base}/memory.stat`), /^file (\d+)$/m) ?? 0;
    return { ...found, limit, available: used === null ? null : Math.max(0, limit - Math.max(0, used - file)) };
  }
  const base = v1 === null ? null : `/sys/fs/cgroup/memory${v1}`;
  const limit = base === null ? null : lineValue(await read(`${base}/memory.limit_in_bytes`), /^(\d+)$/m);
  if (base === null || limit === null || limit >= NO_LIMIT) return found;
  const used = lineValue(await read(`${base}/memory.usage_in_bytes`), /^(\d+)$/m);
  const file = lineValue(await read(`${base}/memory.stat`), /^total_cache (\d+)$/m) ?? 0;
  return { ...found, limit, available: used === null ? null : Math.max(0, limit - Math.max(0, used - file)) };
}

interface OwnGroups {
  v2: string | null;
  v1: string | null;
}

/** Where this process stands, as `/proc/self/cgroup` says. */
function groupIn(text: string): OwnGroups {
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

async function textOf(path: string): Promise<string> {
  try {
    await using file = await open(path, "r");
    const buffer = new Uint8Array(FILE_BYTES);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return new TextDecoder().decode(buffer.subarray(0, length));
  } catch {
    return "";
  }
}
