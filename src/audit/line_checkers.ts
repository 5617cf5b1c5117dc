import { setImmediate } from "node:timers";
import { type CheckedLines, checkLines } from "./line_check.ts";

/** Below so many bytes of lines starting threads takes longer than the checking. */
const THREADS_FROM_BYTES = 4 << 20;

/** The thread that asks has little to do: it puts together what they found. */
const MOST_THREADS = 4;

/** Bytes that are checked at a time without a thread: about a millisecond of the event loop. */
const SLICE_BYTES = 64 << 10;
const CHUNK_BYTES = 1 << 20;

interface Thread {
  worker: Worker;
  waiting: { bytes: Uint8Array; resolve: (checked: CheckedLines | null) => void }[];
}

/** Checks lines in threads, or, where there are few or threads cannot be started, slice by slice in this one. */
export class LineCheckers implements Disposable {
  #threads: Thread[] = [];
  #turn = 0;

  /** Prepares for so many bytes in all, and for comparing them with the rows of a database's file where there is one. */
  constructor(bytes: number, database: string | null) {
    if (bytes < THREADS_FROM_BYTES) return;
    const count = Math.max(1, Math.min(MOST_THREADS, navigator.hardwareConcurrency));
    try {
      for (let index = 0; index < count; index++) this.#threads.push(this.#start(database));
    } catch {
      this[Symbol.dispose]();
    }
  }

  /** How many bytes to hand over at a time. */
  get chunkBytes(): number {
    return this.#threads.length === 0 ? SLICE_BYTES : CHUNK_BYTES;
  }

  /** How many checks may run at once so that no thread waits. */
  get depth(): number {
    return this.#threads.length === 0 ? 1 : 2 * this.#threads.length;
  }

  /** As {@linkcode checkLines}; never rejects. */
  async check(bytes: Uint8Array): Promise<CheckedLines | null> {
    const thread = this.#threads[this.#turn++ % Math.max(1, this.#threads.length)];
    if (thread === undefined) {
      await new Promise((resolve) => setImmediate(resolve));
      return checkLines(bytes);
    }
    const { promise, resolve } = Promise.withResolvers<CheckedLines | null>();
    thread.waiting.push({ bytes, resolve });
    thread.worker.postMessage(bytes);
    return await promise;
  }

  /** Ends the threads. */
  [Symbol.dispose](): void {
    for (const { worker } of this.#threads.splice(0)) worker.terminate();
  }

  #start(database: string | null): Thread {
    const worker = new Worker(new URL("./line_check_worker.ts", import.meta.url), { type: "module" });
    const thread: Thread = { worker, waiting: [] };
    worker.postMessage(database);
    worker.onmessage = ({ data }) => thread.waiting.shift()?.resolve(data);
    worker.onerror = (event) => {
      // Without threads it takes longer, and says the same.
      event.preventDefault();
      this.#threads = this.#threads.filter((other) => other !== thread);
      worker.terminate();
      for (const { bytes, resolve } of thread.waiting.splice(0)) resolve(checkLines(bytes));
    };
    return thread;
  }
}
