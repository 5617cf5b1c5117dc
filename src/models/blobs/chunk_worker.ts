/**
 * Thread of `ChunkThreads`. The first message names the file; each further one has chunks in shared memory with their hashes
 * and their places, and the answer says of each whether it is right. Nothing is written of one that is not.
 *
 * It imports nothing of other modules: each thread would load them for itself, some megabytes.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { constants, openSync, writeSync } from "node:fs";
import { ChunkHasher } from "./chunk_hasher.ts";
import type { ChunkAnswer, ChunkQuestion, ChunkWork } from "./chunk_threads.ts";

/** What a thread has; the types of the program are those of its main thread. */
interface Thread {
  onmessage: ((event: { data: ChunkQuestion }) => void) | null;
  postMessage(message: readonly ChunkAnswer[]): void;
}

const thread = globalThis as unknown as Thread;
const hasher = new ChunkHasher();
let file: number | undefined;

thread.onmessage = ({ data }) => {
  if ("path" in data) {
    file = openSync(data.path, constants.O_WRONLY | (constants.O_NOFOLLOW ?? 0));
    return;
  }
  const all = data.chunks.map(({ bytes, length }) => new Uint8Array(bytes, 0, length));
  const digests = hasher.digests(all);
  thread.postMessage(data.chunks.map((work, at) => answer(work, { bytes: all[at], digest: digests[at] })));
};

function answer(
  { hash, at }: ChunkWork,
  { bytes, digest }: { bytes: Uint8Array | undefined; digest: Uint8Array | undefined },
): ChunkAnswer {
  try {
    if (bytes === undefined || digest === undefined || !Buffer.from(digest).equals(hash)) return { right: false };
    if (at !== null) write(bytes, at);
    return { right: true };
  } catch (error) {
    const { code } = Object(error) as { code?: unknown };
    return {
      error: error instanceof Error ? error.message : String(error),
      code: typeof code === "string" ? code : null,
    };
  }
}

function write(bytes: Uint8Array, at: number): void {
  if (file === undefined) throw new Error("The thread has no file");
  for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done, bytes.length - done, at + done);
}
