/** What the thread is told: which file, then how many of its bytes can be hashed by now. */
export type HashQuestion = { path: string; size: number } | { ready: number };

/** What the thread says: the SHA-256 in hex when all is hashed, or why there will be none. */
export type HashAnswer = { sha256: string } | { error: string };

/**
 * SHA-256 of a file that grows at its front, in a thread of its own that reads what was written from the system's memory. So
 * the hash is nearly there when the last byte is, and the event loop has no part in it.
 */
export class WholeHash implements Disposable {
  readonly #worker: Worker;
  readonly #outcome = Promise.withResolvers<string | null>();

  /** Starts a thread for a file that will have `size` bytes. It never throws: what cannot start has no digest. */
  constructor(path: string, size: number) {
    this.#worker = new Worker(new URL("./whole_hash_worker.ts", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<HashAnswer>) =>
      this.#outcome.resolve("sha256" in data ? data.sha256 : null);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#outcome.resolve(null);
    };
    this.#worker.postMessage({ path, size } satisfies HashQuestion);
  }

  /** Says that the first `bytes` of the file are as they should be. */
  advance(bytes: number): void {
    this.#worker.postMessage({ ready: bytes } satisfies HashQuestion);
  }

  /** The digest in hex once all bytes are ready, or null where the thread could not make it. */
  digest(): Promise<string | null> {
    return this.#outcome.promise;
  }

  /** Ends the thread. */
  [Symbol.dispose](): void {
    this.#worker.terminate();
    this.#outcome.resolve(null);
  }
}
