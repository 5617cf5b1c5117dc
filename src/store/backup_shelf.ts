import { basename, dirname, join } from "node:path";

/** Why a backup was made: before a change of the database's form, because the owner asked, or by a restore. */
export type BackupReason = "upgrade" | "owner" | "replaced";

/** A backup in the folder of backups, as its name tells. */
export interface BackupEntry {
  /** Name of the file. */
  name: string;
  /** The whole path. */
  path: string;
  /** Number of the last step of the database's history that it has; 0 for none. */
  step: number;
  /** When it was made, RFC 3339 in UTC. */
  madeAt: string;
  /** Why it was made. */
  reason: BackupReason;
  /** Bytes. */
  bytes: number;
}

/** How many backups of each kind are kept; those before an upgrade also by each form of the database. */
export const KEPT_BACKUPS: Readonly<Record<BackupReason, number>> = { upgrade: 4, owner: 5, replaced: 3 };

/** A node that fails at its upgrade, again and again, must not push the backups of other forms out. */
const KEPT_OF_A_STEP = 2;

/** What a crash left of a backup is removed after this time; a younger one may be on its way. */
const PART_MS = 3_600_000;

const NAME_REGEXP =
  /^node-(\d{4})-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z(?:-(\d{1,3}))?-(upgrade|owner|replaced)\.db$/;

/** The folder in which a database's backups are. */
export function backupFolder(database: string): string {
  return join(dirname(database), "backups");
}

/** Path for a new backup, which is not there yet. */
export async function newBackupPath(
  folder: string,
  { step, reason, now = new Date() }: { step: number; reason: BackupReason; now?: Date },
): Promise<string> {
  const time = now.toISOString().replaceAll(/[-:.]/g, "");
  const stem = `node-${String(step).padStart(4, "0")}-${time}`;
  for (let number = 1; number < 1_000; number++) {
    const path = join(folder, `${stem}${number === 1 ? "" : `-${number}`}-${reason}.db`);
    if (!await exists(path)) return path;
  }
  throw new Error("a thousand backups were made in this millisecond");
}

/** The backups of a folder, the newest first; none where there is no folder. */
export async function listBackups(folder: string): Promise<BackupEntry[]> {
  const found: (BackupEntry & { number: number })[] = [];
  try {
    for await (const { name, isFile } of Deno.readDir(folder)) {
      const match = isFile ? NAME_REGEXP.exec(name) : null;
      if (match === null) continue;
      const [, step, year, month, day, hour, minute, second, millisecond, number = "1", reason] = match;
      const path = join(folder, name);
      const bytes = (await Deno.stat(path).catch(() => null))?.size;
      if (bytes === undefined) continue;
      const madeAt = `${year}-${month}-${day}T${hour}:${minute}:${second}.${millisecond}Z`;
      found.push({
        name,
        path,
        step: Number(step),
        madeAt,
        reason: reason as BackupReason,
        bytes,
        number: Number(number),
      });
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  found.sort((a, b) => a.madeAt === b.madeAt ? b.number - a.number : a.madeAt < b.madeAt ? 1 : -1);
  return found.map(({ number: _, ...entry }) => entry);
}

/** Removes the oldest backups of which there are enough, but never `keep`, and what crashes left long ago. */
export async function pruneBackups(folder: string, { keep }: { keep: string }): Promise<void> {
  const counts = new Map<string, number>();
  const count = (key: string): number => {
    counts.set(key, (counts.get(key) ?? 0) + 1);
    return counts.get(key) ?? 0;
  };
  for (const { path, reason, step } of await listBackups(folder)) {
    const ofStep = reason === "upgrade" ? count(`${reason} ${step}`) : 1;
    if (ofStep <= KEPT_OF_A_STEP && count(reason) <= KEPT_BACKUPS[reason]) continue;
    if (path !== keep) await Deno.remove(path).catch(() => {});
  }
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.endsWith(".part")) continue;
    const path = join(folder, basename(name));
    const { mtime } = await Deno.stat(path).catch(() => ({ mtime: null }));
    if (mtime !== null && Date.now() - mtime.getTime() > PART_MS) await Deno.remove(path).catch(() => {});
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}
