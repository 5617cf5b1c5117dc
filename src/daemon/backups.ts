import { basename, join } from "node:path";
import { CONFIG_FILE_NAMES, type DataPaths } from "@ark/node/config";
import { Identity, readRotations } from "@ark/node/identity";
import { writeOlderApprovals } from "@ark/node/peers";
import { reasonOf } from "@ark/node/protocol";
import {
  type BackupContents,
  backupFolder,
  clearStaged,
  FILES_IN_BACKUPS,
  keepOwner,
  listBackups,
  type MadeBackup,
  makeBackup,
  type OpenStoreOptions,
  restoreDatabase,
  StoreError,
  writeDurably,
} from "@ark/node/store";
import type { Logger } from "@ark/node/telemetry";
import { lockDataDirectory } from "./data_lock.ts";
import { StartError } from "./start_error.ts";

/** What a restore did. */
export interface Restored {
  /** The backup. */
  backup: string;
  /** Number of the last step of the database's history that it has. */
  step: number;
  /** Whether this program upgrades it at its next start. */
  older: boolean;
  /** When it was made, RFC 3339, or null where it does not say. */
  madeAt: string | null;
  /** Where what it replaced is, or null where there was nothing. */
  replaced: string | null;
  /** Names of the files beside the database that came out of it, into a directory without a key only. */
  files: string[];
  /** What the owner should know, as sentences. */
  notes: string[];
}

const ROTATIONS = "node.rotation.json";

/** Stands in a directory while a node is brought back into it from a backup alone. */
const UNFINISHED = "restore.unfinished";

/**
 * Backs a node up, whether or not it runs: its database with the audit log's entries, and the files of its data directory
 * that are small and cannot be made again: approvals, wishes for copies, settings, and the key. Models are not in it.
 *
 * @throws {StartError} with one sentence.
 */
export async function backUp(paths: DataPaths, { file }: { file?: string } = {}): Promise<MadeBackup> {
  try {
    const node = (await ownIdentity(paths))?.id ?? null;
    const files = [basename(paths.key), ROTATIONS, ...CONFIG_FILE_NAMES];
    return await makeBackup({
      database: paths.database,
      reason: "owner",
      files,
      node,
      ...file === undefined ? {} : { file },
    });
  } catch (error) {
    throw new StartError(reasonOf(error), { cause: error });
  }
}

/**
 * Puts a backup in the place of a node's database. In a directory with a key nothing else comes out of it: approvals, key
 * and audit log are those of now, and approvals only lose what the older version cannot read. In a directory without a key
 * the node of the backup comes back as a whole.
 *
 * @param choice path of a backup, name of one in the folder of backups, or null for the newest of that folder.
 * @throws {StartError} with one sentence; where a node runs, or the backup cannot be used. Nothing was changed then.
 */
export async function restoreBackup(paths: DataPaths, choice: string | null): Promise<Restored> {
  await using _lock = await lockDataDirectory(paths);
  const backup = await chosen(paths, choice);
  let fresh: FreshNode | null = null;
  try {
    const { contents, replaced, notes } = await restoreDatabase({
      database: paths.database,
      backup,
      accept: async (contents) => {
        if (await exists(paths.key)) await refuseOther(paths, contents);
        else fresh = await FreshNode.begin(paths, contents);
      },
    });
    // The database is in its place: what is left can be done again by the same command.
    const files = await (fresh as FreshNode | null)?.finish() ?? [];
    await unmark(paths);
    const step = contents.steps.length;
    const before = contents.files.get(basename(paths.peers));
    if (contents.older) {
      const text = before === undefined ? null : new TextDecoder().decode(before);
      notes.push(...await writeOlderApprovals(paths.peers, { step, before: text }));
      if (await exists(paths.peers)) await keepOwner(paths.peers, { like: paths.root });
    }
    if (!await exists(paths.key)) {
      notes.push("There is no key here and none in the backup, so the node makes a new one.");
    }
    return { backup, step, older: contents.older, madeAt: contents.madeAt, replaced, files, notes };
  } catch (error) {
    if (error instanceof StoreError) {
      await (fresh as FreshNode | null)?.giveUp();
      throw new StartError(error.message, { cause: error });
    }
    throw new StartError(`Cannot restore ${backup}: ${reasonOf(error)}; do it again`, { cause: error });
  }
}

/** Says in the log that the data of an older version are upgraded, and how to go back. */
export function backedUp(logger: Pick<Logger, "info">): OpenStoreOptions {
  return {
    backedUp: (path) =>
      logger.info("The database of an older version is upgraded; 'ark-node restore' goes back to this backup", {
        path,
      }),
  };
}

/**
 * Clears away what a crash left of a restore. Call it with the data directory locked, before anything in it is opened.
 *
 * @throws {StartError} where a node was being brought back from a backup alone: another one must not begin in its place.
 */
export async function refuseUnfinishedRestore(paths: DataPaths): Promise<void> {
  // The key comes last: with it nothing is missing but this mark's end.
  if (await exists(paths.key)) await unmark(paths);
  if (await exists(join(paths.root, UNFINISHED))) {
    throw new StartError(
      `A restore into ${paths.root} was interrupted: run 'ark-node restore' with the same backup again`,
      { exitCode: 78 },
    );
  }
  await clearStaged(paths.database);
}

/** A node that comes back into a directory without a key. */
class FreshNode {
  readonly #paths: DataPaths;
  readonly #files: ReadonlyMap<string, Uint8Array>;
  /** Whether one before this was interrupted. */
  readonly #again: boolean;

  private constructor({ paths, files, again }: { paths: DataPaths; files: BackupContents["files"]; again: boolean }) {
    this.#paths = paths;
    this.#files = files;
    this.#again = again;
  }

  /** Checks the key, and marks the directory. */
  static async begin(paths: DataPaths, { files, node }: BackupContents): Promise<FreshNode> {
    const key = files.get(basename(paths.key));
    if (key !== undefined) {
      const id = identityOf(new TextDecoder().decode(key))?.id;
      if (id === undefined || (node !== null && id !== node)) throw new StoreError("the key in it is damaged");
    }
    const mark = join(paths.root, UNFINISHED);
    const again = await exists(mark);
    await writeDurably(mark, new Uint8Array(0));
    return new FreshNode({ paths, files, again });
  }

  /** Writes what is missing here, the key at the end: a directory with a key is one that is whole. */
  async finish(): Promise<string[]> {
    const key = basename(this.#paths.key);
    const written: string[] = [];
    for (const name of [...FILES_IN_BACKUPS, ...CONFIG_FILE_NAMES, ROTATIONS, key]) {
      const content = this.#files.get(name);
      const path = join(this.#paths.root, name);
      if (content === undefined || await exists(path)) continue;
      await writeDurably(path, content);
      await keepOwner(path, { like: this.#paths.root });
      written.push(name);
    }
    return written;
  }

  /** Takes the mark away, unless one before this has left something. */
  async giveUp(): Promise<void> {
    if (!this.#again) await unmark(this.#paths);
  }
}

async function unmark(paths: DataPaths): Promise<void> {
  await Deno.remove(join(paths.root, UNFINISHED)).catch(() => {});
}

async function chosen(paths: DataPaths, choice: string | null): Promise<string> {
  const folder = backupFolder(paths.database);
  const known = await listBackups(folder);
  if (choice !== null) return known.find(({ name }) => name === choice)?.path ?? choice;
  const newest = known.find(({ reason }) => reason !== "replaced");
  if (newest === undefined) {
    throw new StartError(`There is no backup in ${folder}: name one, or make one with ark-node backup`);
  }
  return newest.path;
}

/** A backup of one node is none of another: with its database the other one would vouch for a log that is not its own. */
async function refuseOther(paths: DataPaths, { node }: BackupContents): Promise<void> {
  if (node === null) return;
  const own = await ownIdentity(paths);
  const ids = [own?.id, ...(await readRotations(paths.key).catch(() => [])).map(({ old }) => old)];
  if (ids.includes(node)) return;
  throw new StoreError(
    `it is of another node (${node.slice(0, 8)}), and ${paths.root} belongs to ${own?.id.slice(0, 8) ?? "a node"}, ` +
      "so name an empty directory with --data",
  );
}

async function ownIdentity(paths: DataPaths): Promise<Identity | null> {
  const text = await Deno.readTextFile(paths.key).catch(() => null);
  return text === null ? null : identityOf(text);
}

function identityOf(text: string): Identity | null {
  try {
    return new Identity(text);
  } catch {
    return null;
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}
