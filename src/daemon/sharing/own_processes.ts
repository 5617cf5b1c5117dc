import { open, readdir } from "node:fs/promises";

/** A process as `/proc` tells of it. */
export interface ProcessTimes {
  /** Id of the one that started it. */
  readonly parent: number;
  /** Time of processors that it has used, in milliseconds. */
  readonly cpuMs: number;
}

/** More processes than this are not looked at. */
const MOST = 32_768;
const FILE_BYTES = 4_096;
/** Linux tells such times in hundredths of a second, whatever its own clock. */
const TICK_MS = 10;

/** All processes of the machine by their id, or null where the system does not tell, or this program may not read it. */
export async function listProcesses(root: string = "/proc"): Promise<Map<number, ProcessTimes> | null> {
  const found = new Map<number, ProcessTimes>();
  try {
    const ids = (await readdir(root)).filter((name) => /^\d{1,10}$/.test(name)).slice(0, MOST);
    for (const id of ids) {
      const times = parseProcessStat(await beginningOf(`${root}/${id}/stat`));
      if (times !== null) found.set(Number(id), times);
    }
  } catch {
    return null;
  }
  return found.size === 0 ? null : found;
}

/** Reads a process's `stat`: the name in it may hold anything, blanks and brackets too. Total; null where it is none. */
export function parseProcessStat(text: string): ProcessTimes | null {
  const fields = text.slice(text.lastIndexOf(")") + 1).trim().split(" ");
  const [parent, user, system] = [fields[1], fields[11], fields[12]].map((field) =>
    field !== undefined && /^\d{1,15}$/.test(field) ? Number(field) : NaN
  );
  if (parent === undefined || user === undefined || system === undefined) return null;
  const cpuMs = (user + system) * TICK_MS;
  return Number.isNaN(parent + cpuMs) ? null : { parent, cpuMs };
}

/** Some processes and all that they have started. Pure. */
export function familyOf(roots: readonly number[], all: ReadonlyMap<number, ProcessTimes>): Set<number> {
  const children = new Map<number, number[]>();
  for (const [id, { parent }] of all) {
    const known = children.get(parent);
    if (known === undefined) children.set(parent, [id]);
    else known.push(id);
  }
  const family = new Set<number>();
  const left = [...roots];
  for (let id = left.pop(); id !== undefined; id = left.pop()) {
    if (family.has(id)) continue;
    family.add(id);
    left.push(...children.get(id) ?? []);
  }
  return family;
}

/** The beginning of a small file, or nothing where it cannot be read. */
export async function beginningOf(path: string): Promise<string> {
  try {
    const file = await open(path);
    try {
      const buffer = new Uint8Array(FILE_BYTES);
      const { bytesRead } = await file.read(buffer, 0, buffer.length);
      return new TextDecoder().decode(buffer.subarray(0, bytesRead));
    } finally {
      await file.close();
    }
  } catch {
    return "";
  }
}
