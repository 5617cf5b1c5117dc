/**
 * Thread of `WholeHash`. The first message names the file and its size, each further one how many bytes of it can be hashed;
 * the answer is the digest when all are.
 *
 * It imports nothing of other modules: each thread would load them for itself, some megabytes.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { HashAnswer, HashQuestion } from "./whole_hash.ts";

/** What a thread has; the types of the program are those of its main thread. */
interface Thread {
  onmessage: ((event: { data: HashQuestion }) => void) | null;
  postMessage(message: HashAnswer): void;
}

const thread = globalThis as unknown as Thread;
const buffer = new Uint8Array(1 << 20);
const hash = createHash("sha256");
let file: Deno.FsFile | undefined;
let size = 0;
let done = 0;

thread.onmessage = ({ data }) => {
  try {
    if ("path" in data) {
      file = Deno.openSync(data.path);
      size = data.size;
      return;
    }
    while (file !== undefined && done < data.ready) {
      const read = file.readSync(buffer.subarray(0, Math.min(buffer.length, data.ready - done)));
      if (read === null) throw new Error("The file is shorter than it should be");
      hash.update(buffer.subarray(0, read));
      done += read;
    }
    if (done < size || file === undefined) return;
    file.close();
    file = undefined;
    thread.postMessage({ sha256: hash.digest("hex") });
  } catch (error) {
    file?.close();
    file = undefined;
    thread.postMessage({ error: error instanceof Error ? error.message : String(error) });
  }
};
