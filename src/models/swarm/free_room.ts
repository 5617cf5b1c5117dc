import { dirname } from "node:path";
import { ArkError } from "@ark/node/protocol";
import type { DownloadLimits } from "../pull/download.ts";

/** Share of a file's size that has to stay free beside it. */
const MARGIN = 0.1;

/**
 * Asks whether there is room for what is missing of a file, and a tenth of its size.
 *
 * @throws {ArkError} `unavailable` where there is not.
 */
export async function checkFreeRoom(
  part: string,
  { size, limits }: { size: number; limits: Pick<DownloadLimits, "freeBytes" | "reserveBytes"> },
): Promise<void> {
  const info = await Deno.lstat(part).catch(() => null);
  // What was preallocated takes no room before it is written.
  const here = info === null ? 0 : Math.min(size, (info.blocks ?? 0) * 512);
  const left = size - here;
  const margin = Math.max(Math.ceil(size * MARGIN), limits.reserveBytes);
  const free = await limits.freeBytes(dirname(part));
  if (left === 0 || free >= left + margin) return;
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  throw new ArkError(
    "unavailable",
    `There is not enough room on the disk: ${gigabytes(left)} are to come, ${gigabytes(margin)} stay free, and ` +
      `${gigabytes(free)} are left; remove something first`,
  );
}
