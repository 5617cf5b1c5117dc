/**
 * Thread of `ChunkThreads`. The first message names the file; each further one is a chunk in shared memory with its hash and its
 * place, and the answer whether it is right. Nothing is written of one that is not.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { constants, openSync, writeSync } from "node:fs";
import { reasonOf } from "@ark/node/protocol";
import type { ChunkAnswer, ChunkQuestion } from "./chunk_threads.ts";

/** What a thread has; the types of the program are those of its main thread. */
interface Thread {
  onmessage: ((event: { data: ChunkQuestion }) => void) | null;
  postMessage(message: ChunkAnswer): void;
}

const thread = globalThis as unknown as Thread;
let file: number | undefined;

thread.onmessage = ({ data }) => {
  if ("path" in data) {
    file = openSync(data.path, constants.O_WRONLY | (constants.O_NOFOLLOW ?? 0));
    return;
  }
  try {
    const bytes = new Uint8Array(data.bytes, 0, data.length);
    const right = createHash("sha256").update(bytes).digest().equals(Buffer.from(data.hash));
    if (right && data.at !== null) write(bytes, data.at);
    thread.postMessage({ right });
  } catch (error) {
    const { code } = Object(error) as { code?: unknown };
    thread.postMessage({ error: reasonOf(error), code: typeof code === "string" ? code : null });
  }
};

function write(bytes: Uint8Array, at: number): void {
  if (file === undefined) throw new Error("The thread has no file");
  for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done, bytes.length - done, at + done);
}
