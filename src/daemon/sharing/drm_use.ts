import { readdirSync, readlinkSync } from "node:fs";
import { beginningOf, ShortTurns } from "./own_processes.ts";

/** How much one program used a GPU, since it opened it. */
export interface DrmClient {
  /** Which GPU, and which client of it: a program may hold the same one by several descriptors. */
  readonly key: string;
  /** Time of its engines, in nanoseconds, by engine. */
  readonly engines: ReadonlyMap<string, number>;
}

/** Clients of all GPUs at one moment. */
export interface DrmLook {
  /** Monotonic time, in milliseconds. */
  readonly ms: number;
  /** Those of others. */
  readonly others: readonly DrmClient[];
  /** Those of this node. */
  readonly own: readonly DrmClient[];
}

const MOST_PROCESSES = 32_768;
const MOST_DESCRIPTORS = 4_096;
const MOST_ENGINES = 32;
/** How long it is remembered which descriptors are those of a GPU, in milliseconds: finding them is much work. */
const REMEMBER_MS = 60_000;

/**
 * Reads a descriptor's `fdinfo`, as the kernel's drm-usage-stats has it: `drm-pdev`, `drm-client-id`, and one
 * `drm-engine-NAME: N ns` for each engine. Total: null where it is no descriptor of a GPU, or does not say.
 */
export function parseFdinfo(text: string): DrmClient | null {
  const values = new Map<string, string>();
  const engines = new Map<string, number>();
  for (const line of text.split("\n").slice(0, 256)) {
    const [, name, value] = /^(drm-[a-z0-9_-]{1,60}):\s*(.{1,100})$/.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    values.set(name, value.trim());
    const [, ns] = /^(\d{1,19}) ns$/.exec(value.trim()) ?? [];
    const engine = name.startsWith("drm-engine-") ? name.slice("drm-engine-".length) : null;
    if (engine !== null && ns !== undefined && !engine.startsWith("capacity-") && engines.size < MOST_ENGINES) {
      engines.set(engine, Number(ns));
    }
  }
  const id = values.get("drm-client-id");
  if (id === undefined || !/^\d{1,20}$/.test(id) || engines.size === 0) return null;
  return { key: `${values.get("drm-pdev") ?? values.get("drm-driver") ?? ""} ${id}`, engines };
}

/** How much the busiest engine of any GPU worked for some clients between two looks, 0 to 1. Pure. */
export function engineUse(
  before: { ms: number; clients: readonly DrmClient[] },
  now: { ms: number; clients: readonly DrmClient[] },
): number {
  const span = (now.ms - before.ms) * 1e6;
  if (!(span > 0)) return 0;
  const known = new Map(before.clients.map((client) => [client.key, client]));
  const used = new Map<string, number>();
  for (const { key, engines } of new Map(now.clients.map((client) => [client.key, client])).values()) {
    const gpu = key.slice(0, key.lastIndexOf(" "));
    const old = known.get(key);
    // One that is new has used what it used in a time that nobody knows.
    if (old === undefined) continue;
    for (const [engine, ns] of engines) {
      const name = `${gpu} ${engine}`;
      used.set(name, (used.get(name) ?? 0) + Math.max(0, ns - (old.engines.get(engine) ?? ns)));
    }
  }
  return Math.min(1, Math.max(0, ...used.values()) / span);
}

/** Looks at the clients of GPUs by `/proc/{pid}/fdinfo`. */
export class DrmClients {
  readonly #root: string;
  #known: { at: number; descriptors: Map<number, string[]> } | null = null;

  /** Looks in a folder like `/proc`. */
  constructor(root: string = "/proc") {
    this.#root = root;
  }

  /**
   * Looks once; null where this program may not, or the system has no such thing. Which programs are this node's own is
   * asked where there is a client at all.
   */
  async look(own: () => Promise<ReadonlySet<number>>): Promise<DrmLook | null> {
    try {
      const ms = performance.now();
      if (this.#known === null || ms - this.#known.at > REMEMBER_MS) {
        this.#known = { at: ms, descriptors: await this.#find() };
      }
      const found: { others: DrmClient[]; own: DrmClient[] } = { others: [], own: [] };
      const { descriptors } = this.#known;
      const mine = descriptors.size === 0 ? new Set() : await own();
      const turns = new ShortTurns();
      for (const [pid, names] of descriptors) {
        for (const name of names) {
          if (turns.over) await turns.next();
          const client = parseFdinfo(beginningOf(`${this.#root}/${pid}/fdinfo/${name}`));
          if (client !== null) (mine.has(pid) ? found.own : found.others).push(client);
        }
      }
      return { ms, ...found };
    } catch {
      return null;
    }
  }

  async #find(): Promise<Map<number, string[]>> {
    const found = new Map<number, string[]>();
    const ids = readdirSync(this.#root).filter((name) => /^\d{1,10}$/.test(name)).slice(0, MOST_PROCESSES);
    const turns = new ShortTurns();
    for (const id of ids) {
      const folder = `${this.#root}/${id}/fd`;
      const gpus: string[] = [];
      for (const name of namesIn(folder).slice(0, MOST_DESCRIPTORS)) {
        if (turns.over) await turns.next();
        if (targetOf(`${folder}/${name}`).startsWith("/dev/dri/")) gpus.push(name);
      }
      if (gpus.length > 0) found.set(Number(id), gpus);
    }
    return found;
  }
}

/** What a folder holds, or nothing: descriptors of other users cannot be seen, and need not be. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function targetOf(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return "";
  }
}
