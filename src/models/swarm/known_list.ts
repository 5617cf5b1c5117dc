import {
  ArkError,
  type ChunkList,
  chunkListBytes,
  chunkRoot,
  decodeChunkList,
  encodeChunkList,
} from "@ark/node/protocol";
import { askPeer, blobPath, type SwarmPeer, type SwarmPeers } from "./swarm_peers.ts";

/** Hashes of a file's chunks, and who gave them. Nobody is believed: the SHA-256 of the whole file decides. */
export interface KnownList {
  /** The hashes. */
  readonly list: ChunkList;
  /** Root of the tree over them, hex. */
  readonly root: string;
  /** The peer that gave them; null where they were here. */
  readonly giver: SwarmPeer | null;
}

/** Longest time for a list in milliseconds: a node that was never asked hashes the file first. */
const LIST_MS = 120_000;
const MOST_SIZE = 2 ** 40;

/** Where a list is kept beside a file that has not come whole, so that the next pull needs no peer for it. */
export function listPath(part: string): string {
  return `${part}.chunks`;
}

/** The list that is kept beside a file that has not come whole, or null. */
export async function keptList(part: string, size: number | null): Promise<KnownList | null> {
  try {
    const path = listPath(part);
    const info = await Deno.lstat(path);
    if (!info.isFile || info.size > chunkListBytes(MOST_SIZE)) return null;
    const list = decodeChunkList(await Deno.readFile(path));
    return size !== null && list.size !== size ? null : { list, root: chunkRoot(list), giver: null };
  } catch {
    return null;
  }
}

/** Keeps a list. */
export async function keepList(part: string, { list }: KnownList): Promise<void> {
  const path = listPath(part);
  await Deno.remove(`${path}.new`).catch(() => {});
  await Deno.writeFile(`${path}.new`, encodeChunkList(list), { createNew: true, mode: 0o600 });
  await Deno.rename(`${path}.new`, path);
}

/**
 * Asks a peer for the hashes of a file's chunks.
 *
 * @throws {ArkError} where it gives none, or one of another size.
 */
export async function listOf(
  peers: SwarmPeers,
  { peer, sha256, size, signal }: { peer: SwarmPeer; sha256: string; size: number | null; signal: AbortSignal },
): Promise<KnownList> {
  const bytes = await askPeer(peers, {
    peer,
    path: blobPath(sha256, "chunks"),
    what: "the hashes of the file's pieces",
    most: chunkListBytes(size ?? MOST_SIZE),
    deadlineMs: LIST_MS,
    signal,
  });
  const list = decodeChunkList(bytes);
  if (size !== null && list.size !== size) {
    throw new ArkError("unavailable", `${peer.name} says that the file has ${list.size} bytes, and not ${size}`);
  }
  return { list, root: chunkRoot(list), giver: peer };
}
