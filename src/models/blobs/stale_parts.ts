import { join } from "node:path";

/** What a store's folder holds that is no model yet. */
export interface DiskUse {
  /** Files that have not come whole, or are in no model yet. */
  readonly parts: number;
  /** Bytes that they take. */
  readonly partBytes: number;
  /** Bytes of models that wait for the owner's approval. */
  readonly waitingBytes: number;
}

/** What {@linkcode purgeParts} removed. */
export interface PurgedParts {
  /** Files. */
  readonly files: number;
  /** Bytes that they took. */
  readonly bytes: number;
}

/** A file that is a part of something begun. */
interface Remnant {
  readonly path: string;
  readonly bytes: number;
  readonly mtimeMs: number;
  /** What it is a remnant of: they stay or go together. */
  readonly of: string;
  readonly waiting: boolean;
}

/** What was not gone on with for so long is given up, in milliseconds. */
const STALE_MS = 30 * 86_400_000;
const MOST_REMNANTS = 100_000;
/** Folders below the store's own: the catalogue looks no deeper. */
const LEVELS = 5;

/** Counts what has not become a model. */
export async function diskUse(root: string): Promise<DiskUse> {
  const remnants = await find(root);
  const sum = (some: readonly Remnant[]) => some.reduce((bytes, one) => bytes + one.bytes, 0);
  const [waiting, parts] = [remnants.filter((one) => one.waiting), remnants.filter((one) => !one.waiting)];
  return { parts: new Set(parts.map(({ of }) => of)).size, partBytes: sum(parts), waitingBytes: sum(waiting) };
}

/** Removes what was begun and not gone on with for 30 days. Models that wait for approval stay. */
export async function purgeParts(root: string, now = Date.now()): Promise<PurgedParts> {
  const remnants = await find(root);
  const newest = new Map<string, number>();
  for (const { of, mtimeMs } of remnants) newest.set(of, Math.max(newest.get(of) ?? 0, mtimeMs));
  let [files, bytes] = [0, 0];
  for (const one of remnants) {
    if (one.waiting || now - (newest.get(one.of) ?? now) < STALE_MS) continue;
    try {
      await Deno.remove(one.path);
    } catch {
      continue;
    }
    files++;
    bytes += one.bytes;
  }
  return { files, bytes };
}

/** What is begun is in `.parts`, or beside its place with `.part` behind its name; what waits is in `.waiting`. */
async function find(root: string): Promise<Remnant[]> {
  const remnants: Remnant[] = [];
  const walk = async (directory: string, level: number, hidden: ".parts" | ".waiting" | null): Promise<void> => {
    const entries = await Array.fromAsync(Deno.readDir(directory)).catch(() => []);
    for (const { name, isDirectory, isFile } of entries) {
      if (remnants.length >= MOST_REMNANTS) return;
      const path = join(directory, name);
      if (isDirectory && level < LEVELS) {
        const inside = level === 0 && (name === ".parts" || name === ".waiting") ? name : hidden;
        if (inside !== null || !name.startsWith(".")) await walk(path, level + 1, inside);
      }
      if (!isFile || (hidden === null && !/\.part(?:\.json|\.json\.new)?$/.test(name))) continue;
      const info = await Deno.lstat(path).catch(() => null);
      if (info === null) continue;
      remnants.push({
        path,
        // A file that is not whole has holes.
        bytes: info.blocks === null ? info.size : Math.min(info.size, info.blocks * 512),
        mtimeMs: info.mtime?.getTime() ?? 0,
        of: path.replace(/\.part(?:\..*)?$/, ""),
        waiting: hidden === ".waiting",
      });
    }
  };
  await walk(root, 0, null);
  return remnants;
}
