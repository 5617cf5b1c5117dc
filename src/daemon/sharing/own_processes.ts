import { closeSync, openSync, readSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { setImmediate } from "node:timers";

/** A process as `/proc` tells of it. */
export interface ProcessTimes {
  /** Id of the one that started it. */
  readonly parent: number;
  /** Time of processors that it has used, in milliseconds. */
  readonly cpuMs: number;
}

/** More processes than this are not looked at. */
const MOST = 32_768;
/** Into which the beginning of every file is read, one after the other. */
const BUFFER = new Uint8Array(4_096);
const DECODER = new TextDecoder();
/** How long the event loop is kept before others have their turn, in milliseconds. */
const SLICE_MS = 2;
/** Linux tells such times in hundredths of a second, whatever its own clock. */
const TICK_MS = 10;
/** What stands behind the name: the state, who started it, nine others, and both times. */
const STAT = /^\s*\S+ (\d{1,15}) (?:\S+ ){9}(\d{1,15}) (\d{1,15})(?!\S)/;

/** All processes of the machine by their id, or null where the system does not tell, or this program may not read it. */
export async function listProcesses(root: string = "/proc"): Promise<Map<number, ProcessTimes> | null> {
  const found = new Map<number, ProcessTimes>();
  try {
    const ids = (await readdir(root)).filter((name) => /^\d{1,10}$/.test(name)).slice(0, MOST);
    const turns = new ShortTurns();
    for (const id of ids) {
      if (turns.over) await turns.next();
      const times = parseProcessStat(beginningOf(`${root}/${id}/stat`));
      if (times !== null) found.set(Number(id), times);
    }
  } catch {
    return null;
  }
  return found.size === 0 ? null : found;
}

/** Reads a process's `stat`: the name in it may hold anything, blanks and brackets too. Total; null where it is none. */
export function parseProcessStat(text: string): ProcessTimes | null {
  const [, parent, user, system] = STAT.exec(text.slice(text.lastIndexOf(")") + 1)) ?? [];
  if (parent === undefined) return null;
  return { parent: Number(parent), cpuMs: (Number(user) + Number(system)) * TICK_MS };
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

/**
 * The beginning of a small file of `/proc` or `/sys`, or nothing where it cannot be read. It is read at once, and not by a
 * thread: no disk is asked, so that it takes some ten microseconds, and going to a thread and back takes several times that.
 */
export function beginningOf(path: string): string {
  try {
    const file = openSync(path, "r");
    try {
      return DECODER.decode(BUFFER.subarray(0, readSync(file, BUFFER, 0, BUFFER.length, null)));
    } finally {
      closeSync(file);
    }
  } catch {
    return "";
  }
}

/** Lets others at the event loop again and again during much work that does not wait for anything. */
export class ShortTurns {
  #until = performance.now() + SLICE_MS;

  /** Whether this turn was long enough. */
  get over(): boolean {
    return performance.now() >= this.#until;
  }

  /** Begins the next one, after everybody else has had his. */
  async next(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#until = performance.now() + SLICE_MS;
  }
}
