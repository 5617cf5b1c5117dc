import { availableParallelism } from "node:os";
import { CHUNK_BYTES } from "@ark/node/protocol";

/** A chunk for a thread. Where `at` is null, it is only checked. */
export interface ChunkWork {
  readonly bytes: SharedArrayBuffer;
  readonly length: number;
  /** SHA-256 that it must have. */
  readonly hash: Uint8Array;
  readonly at: number | null;
}

/** What a thread is told first: which file it writes; then chunks, some at once. */
export type ChunkQuestion = { path: string } | { chunks: readonly ChunkWork[] };

/** Whether a chunk was the right one, and is written where it should be; or why that failed. */
export type ChunkAnswer = { right: boolean } | { error: string; code: string | null };

/** The threads are no more; whether a chunk was written is not known. */
export class ThreadsEnded extends Error {
  /** Always `"ThreadsEnded"`. */
  override readonly name = "ThreadsEnded";
}

/** Threads of one file: with two, a processor that has no instructions for SHA-256 keeps up with a fast network. */
const THREADS = availableParallelism() > 2 ? 2 : 1;
/** Chunks that a thread is given at once: where the processor has no instructions for SHA-256 they are hashed together. */
const MOST_AT_ONCE = 4;

/** A chunk that waits for its answer. */
interface Asked {
  readonly work: ChunkWork;
  readonly answer: PromiseWithResolvers<ChunkAnswer>;
}

/** One thread, and what it works at. */
interface Thread {
  readonly worker: Worker;
  working: readonly Asked[];
}

/**
 * Checks and writes the chunks of a file in threads, so that neither holds up the event loop. Bytes go to them in memory that
 * is shared: one copy for each chunk, and none where they lie in such memory already. A chunk never waits for others to come;
 * those that came while all threads were at work go to the next one together.
 */
export class ChunkThreads implements Disposable {
  readonly #threads: Thread[];
  readonly #waiting: Asked[] = [];
  readonly #buffers: SharedArrayBuffer[] = [];
  #ended = false;

  /** Starts threads for a file, which exists. It never throws: what cannot start has ended. */
  constructor(path: string) {
    this.#threads = Array.from({ length: THREADS }, (): Thread => {
      const worker = new Worker(new URL("./chunk_worker.ts", import.meta.url), { type: "module" });
      const thread: Thread = { worker, working: [] };
      worker.onmessage = ({ data }: MessageEvent<readonly ChunkAnswer[]>) => {
        const done = thread.working;
        thread.working = [];
        this.#give();
        done.forEach(({ answer }, at) => answer.resolve(data[at] ?? { error: "It was forgotten", code: null }));
      };
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
    const lost = this.#waiting.splice(0);
    for (const thread of this.#threads) {
      thread.worker.terminate();
      lost.push(...thread.working);
      thread.working = [];
    }
    for (const { answer } of lost) answer.reject(new ThreadsEnded("The threads of a file ended"));
  }

  #ask(work: ChunkWork): Promise<ChunkAnswer> {
    if (this.#ended) return Promise.reject(new ThreadsEnded("The threads of a file ended"));
    const asked = { work, answer: Promise.withResolvers<ChunkAnswer>() };
    this.#waiting.push(asked);
    this.#give();
    return asked.answer.promise;
  }

  /** Gives what waits to whoever is free. */
  #give(): void {
    for (const thread of this.#threads) {
      if (this.#waiting.length === 0) return;
      if (thread.working.length > 0) continue;
      thread.working = this.#waiting.splice(0, MOST_AT_ONCE);
      thread.worker.postMessage({ chunks: thread.working.map(({ work }) => work) } satisfies ChunkQuestion);
    }
  }
}
