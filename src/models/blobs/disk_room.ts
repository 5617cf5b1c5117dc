import { ArkError } from "@ark/node/protocol";
import type { DownloadLimits } from "../pull/download.ts";

/** What a look at a disk gave. */
export interface DiskRoom {
  /** Bytes that are to come. */
  readonly needed: number;
  /** Bytes that are free. */
  readonly free: number;
}

/**
 * Whether what is to come has room with a tenth of it to spare, and leaves the node what it needs itself.
 *
 * @throws {ArkError} `unavailable` where it has not.
 */
export async function checkRoom(
  directory: string,
  { needed, limits }: { needed: number; limits: Pick<DownloadLimits, "freeBytes" | "reserveBytes"> },
): Promise<DiskRoom> {
  const free = await limits.freeBytes(directory);
  if (needed === 0 || free >= Math.ceil(needed * 1.1) + limits.reserveBytes) return { needed, free };
  throw new ArkError(
    "unavailable",
    `There is not enough room on the disk: ${gigabytes(needed)} are to come, a tenth of that and ` +
      `${gigabytes(limits.reserveBytes)} stay free, and ${gigabytes(free)} are left; remove something first`,
  );
}

/** A number of bytes, as a person reads it. */
export function gigabytes(bytes: number): string {
  return bytes < 1e8 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
