import { statfs } from "node:fs/promises";
import type { Finding } from "@ark/node/http";
import { size } from "./size.ts";
import { shellWord } from "./typed_word.ts";

/** What is known of the file system below a folder. */
export interface DiskFacts {
  /** The folder. */
  path: string;
  /** Room for this user, in bytes. */
  freeBytes: number;
  /** Files that can still be made; null where the file system has no such limit. */
  freeFiles: number | null;
  /** Its kind as the kernel calls it, a number. */
  type: number;
  /** Why nothing can be written there: the system's code, or null. */
  refuses: string | null;
}

const NETWORK = new Map([
  [0x6969, "NFS"],
  [0xff534d42, "SMB"],
  [0xfe534d42, "SMB"],
  [0x517b, "SMB"],
  [0x01021997, "9P"],
  [0x5346414f, "AFS"],
  [0x00c36400, "Ceph"],
]);
const MEMORY = new Map([[0x01021994, "tmpfs"], [0x858458f6, "ramfs"]]);
const OVERLAY = 0x794c7630;

/** Less than this holds hardly any model. */
const MODEL_BYTES = 2 * 2 ** 30;
const FEW_FILES = 256;

/** Looks at the file system below a folder; null where there is no such folder. */
export async function diskFacts(path: string): Promise<DiskFacts | null> {
  try {
    const { bavail, bsize, files, ffree, type } = await statfs(path);
    const refuses = await refusal(path);
    return {
      path,
      freeBytes: Number(bavail) * Number(bsize),
      freeFiles: Number(files) > 0 ? Number(ffree) : null,
      type: Number(type) >>> 0,
      refuses,
    };
  } catch {
    return null;
  }
}

/** Why no file can be made in a folder, as the system's code, or null. Rights alone do not tell: a disk may be read-only. */
async function refusal(folder: string): Promise<string | null> {
  try {
    await Deno.remove(await Deno.makeTempFile({ dir: folder, prefix: ".ark-doctor-" }));
    return null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    const { code } = error as { code?: unknown };
    return typeof code === "string" ? code : "EACCES";
  }
}

/** Whether the data directory is in a place where data stay and can be written. Pure. */
export function dataPlace(facts: DiskFacts | null, { container }: { container: boolean }): Finding[] {
  if (facts === null) return [];
  const { path, type, refuses, freeFiles } = facts;
  const check = "data-place";
  const found: Finding[] = [];
  // That a disk is full is said where its room is.
  if (refuses !== null && refuses !== "ENOSPC" && refuses !== "EDQUOT") {
    const readOnly = refuses === "EROFS";
    found.push({
      check,
      level: "danger",
      sentence: readOnly
        ? `The data directory ${path} is on a file system that is mounted read-only`
        : `This user may not write to the data directory ${path}`,
      why: readOnly
        ? "Nothing can be recorded there; a disk with errors is mounted like that, too"
        : `It says ${refuses}`,
      fix: readOnly
        ? `See what is wrong with it (dmesg), and mount it again: sudo mount -o remount,rw ${shellWord(path)}`
        : `Give it to the user that runs the node: sudo chown -R "$USER" ${shellWord(path)}`,
    });
  }
  const far = NETWORK.get(type);
  if (far !== undefined) {
    found.push({
      check,
      level: "warning",
      sentence: `The data directory ${path} is on a network drive (${far})`,
      why: "Locks and writes may be lost there when the network breaks, and with them the database and the audit log",
      fix: "Move it to a disk of this machine, and name it with --data; models may stay, named with --models",
    });
  }
  const memory = MEMORY.get(type);
  if (memory !== undefined) {
    found.push({
      check,
      level: "warning",
      sentence: `The data directory ${path} is in memory (${memory}), and is gone after the next start of the machine`,
      why: "With it go the node's key, so that every peer has to approve it again, and the audit log",
      fix: "Move it to a disk, and name it with --data",
    });
  }
  if (container && type === OVERLAY) {
    found.push({
      check,
      level: "warning",
      sentence: `The data directory ${path} is inside a container, and is gone when the container is replaced`,
      why: "With it go the node's key, so that every peer has to approve it again, and the audit log",
      fix: `Put a volume there: docker run -v ark-data:${shellWord(path)} …`,
    });
  }
  if (freeFiles !== null && freeFiles < FEW_FILES) {
    found.push({
      check,
      level: "danger",
      sentence: `The disk of the data directory has room for ${freeFiles} more files only (${path})`,
      fix: `Remove files that are not needed; df -i ${shellWord(path)} shows how many there are`,
    });
  }
  if (found.length === 0) {
    found.push({ check, level: "ok", sentence: "The data directory is on a disk of this machine, and can be written" });
  }
  return found;
}

/** Whether models have a place. Pure. */
export function modelDisk(facts: DiskFacts | null): Finding[] {
  if (facts === null) return [];
  const check = "models-disk";
  const { path, freeBytes } = facts;
  if (freeBytes >= MODEL_BYTES) {
    return [{ check, level: "ok", sentence: `There is room for models: ${size(freeBytes)} free (${path})` }];
  }
  return [{
    check,
    level: "warning",
    sentence: `There is hardly room for another model: ${size(freeBytes)} free (${path})`,
    why: "A model of 8 billion parameters has about 5 GB",
    fix:
      "Remove one (ark-node models, ark-node models rm MODEL), or move the folder to a larger disk and link it there",
  }];
}
