import { availableParallelism } from "node:os";
import { CHUNK_BYTES } from "@ark/node/protocol";

/** What a thread is told first: which file it writes; then chunks. Where `at` is null, a chunk is only checked. */
export type ChunkQuestion =
  | { path: string }
  | { bytes: SharedArrayBuffer; length: number; hash: Uint8Array; at: number | null };

/** Whether a chunk is the right one, and written where it should be; or why that failed. */
export type ChunkAnswer = { right: boolean } | { error: string; code: string | null };

/** The threads are no more; whether a chunk was written is not known. */
export class ThreadsEnded extends Error {
  /** Always `"ThreadsEnded"`. */
  override readonly name = "ThreadsEnded";
}

/** Threads of one file: with two, a processor that has no instructions for SHA-256 keeps up with a fast network. */
const THREADS = availableParallelism() > 2 ? 2 : 1;

/** One thread, and what it is asked. */
interface Thread {
  readonly worker: Worker;
  readonly answers: PromiseWithResolvers<ChunkAnswer>[];
}

/**
 * Checks and writes the chunks of a file in threads, so that neither holds up the event loop. Bytes go to them in memory that
 * is shared: one copy for each chunk, and none where they lie in such memory already.
 */
export class ChunkThreads implements Disposable {
  readonly #threads: Thread[];
  readonly #buffers: SharedArrayBuffer[] = [];
  #ended = false;

  /** Starts threads for a file, which exists. It never throws: what cannot start has ended. */
  constructor(path: string) {
    this.#threads = Array.from({ length: THREADS }, (): Thread => {
      const worker = new Worker(new URL("./chunk_worker.ts", import.meta.url), { type: "module" });
      const thread: Thread = { worker, answers: [] };
      worker.onmessage = ({ data }: MessageEvent<ChunkAnswer>) => thread.answers.shift()?.resolve(data);
      worker.onerror = (event) => {
        event.preventDefault();
        this[Symbol.dispose]();
      };
      worker.postMessage({ path } satisfies ChunkQuestion);
      return thread;
    });
  }

  /** Whether they take chunks. */
  get working(): boolean {
    return !this.#ended;
  }

  /**
   * Checks a chunk, and writes it `at` its place where it is right and that is not null. Whether it is right.
   *
   * @throws {ThreadsEnded} where the threads ended meanwhile.
   * @throws {Error} with the `code` of the system where it cannot be written.
   */
  async put(bytes: Uint8Array, { hash, at }: { hash: Uint8Array; at: number | null }): Promise<boolean> {
    const shared = bytes.buffer instanceof SharedArrayBuffer && bytes.byteOffset === 0 ? bytes.buffer : null;
    const buffer = shared ?? this.#buffers.pop() ?? new SharedArrayBuffer(CHUNK_BYTES);
    try {
      if (shared === null) new Uint8Array(buffer).set(bytes);
      const answer = await this.#ask({ bytes: buffer, length: bytes.length, hash, at });
      if ("right" in answer) return answer.right;
      throw Object.assign(new Error(answer.error), { code: answer.code });
    } finally {
      if (shared === null) this.#buffers.push(buffer);
    }
  }

  /** Ends them as they are. */
  [Symbol.dispose](): void {
    this.#ended = true;
    for (const { worker, answers } of this.#threads) {
      worker.terminate();
      for (const answer of answers.splice(0)) answer.reject(new ThreadsEnded("The threads of a file ended"));
    }
  }

  #ask(question: ChunkQuestion): Promise<ChunkAnswer> {
    const [thread] = this.#threads.toSorted((a, b) => a.answers.length - b.answers.length);
    if (this.#ended || thread === undefined) return Promise.reject(new ThreadsEnded("The threads of a file ended"));
    const answer = Promise.withResolvers<ChunkAnswer>();
    thread.answers.push(answer);
    thread.worker.postMessage(question);
    return answer.promise;
  }
}
