import { reasonOf } from "@ark/node/protocol";
import type { DataPaths } from "@ark/node/config";
import { StartError } from "./start_error.ts";

/** What a running node says about itself to the commands of its owner. */
export interface NodeAddress {
  /** Its process. */
  pid: number;
  /** Where its API listens, such as `http://127.0.0.1:8910`. */
  api: string;
}

/** A data directory that belongs to this process until it is disposed. */
export interface DataLock extends AsyncDisposable {
  /** Says where the node can be found. */
  announce(address: NodeAddress): Promise<void>;
}

/**
 * Takes a data directory for this process, and makes it where there is none. The lock is the system's: it ends with the
 * process, however that ends.
 *
 * @throws {StartError} when another node has it, or when it cannot be made or written.
 */
export async function lockDataDirectory(paths: DataPaths): Promise<DataLock> {
  const file = await open(paths);
  const exclusive = true;
  if (!await file.tryLock(exclusive)) {
    file.close();
    const other = await runningNode(paths);
    const who = other === null ? "Another node" : `Another node (process ${other.pid}, ${other.api})`;
    throw new StartError(`${who} already uses ${paths.root}: stop it first, or choose another directory with --data`);
  }
  return {
    async announce(address) {
      await file.truncate(0);
      await file.seek(0, Deno.SeekMode.Start);
      await file.write(new TextEncoder().encode(JSON.stringify(address) + "\n"));
    },
    async [Symbol.asyncDispose]() {
      await file.truncate(0).catch(() => {});
      file.close();
    },
  };
}

/** Where the node of a data directory can be found, or null when none says so. It may have died since. */
export async function runningNode(paths: DataPaths): Promise<NodeAddress | null> {
  try {
    const { pid, api } = JSON.parse(await Deno.readTextFile(paths.lock));
    return typeof pid === "number" && typeof api === "string" ? { pid, api } : null;
  } catch {
    return null;
  }
}

/** Whether a process has the data directory for itself now, be it that it answers nobody. */
export async function dataDirectoryInUse(paths: DataPaths): Promise<boolean> {
  try {
    using file = await Deno.open(paths.lock, { read: true, write: true });
    const exclusive = true;
    return !await file.tryLock(exclusive);
  } catch {
    return false;
  }
}

async function open(paths: DataPaths): Promise<Deno.FsFile> {
  try {
    await Deno.mkdir(paths.root, { recursive: true, mode: 0o700 });
    await Deno.mkdir(paths.models, { recursive: true, mode: 0o700 });
    return await Deno.open(paths.lock, { create: true, read: true, write: true, mode: 0o600 });
  } catch (error) {
    const reason = reasonOf(error);
    throw new StartError(`Cannot use the data directory ${paths.root}: ${reason}; choose another with --data`);
  }
}
