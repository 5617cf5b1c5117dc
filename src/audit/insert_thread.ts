import { type EdgeState, TreeEdge } from "./tree_edge.ts";

/** The database's path first, then lines, and at the end that there are no more. */
export type InsertQuestion = string | { bytes: Uint8Array; edge: EdgeState | null } | "close";

/** The edge that has grown, or why nothing was inserted. */
export type InsertAnswer = { edge: EdgeState | null } | { error: string };

/** The thread is no more. Whether it inserted what it was given is not known. */
export class ThreadEnded extends Error {
  /** Always `"ThreadEnded"`. */
  override readonly name = "ThreadEnded";
}

/**
 * Puts lines into the database in a thread with a connection of its own: half of what an entry costs, and the whole of
 * SQLite's checkpoints, leave the event loop. It knows nothing between two calls, so it can end at any time.
 */
export class InsertThread implements AsyncDisposable {
  readonly #worker: Worker;
  #answer: PromiseWithResolvers<InsertAnswer> | null = null;
  #state: "starting" | "ready" | "ended" = "starting";
  /** Resolves when it has started or ended. */
  readonly started: Promise<void>;

  /** Begins to start a thread for a database's file. It never throws: what cannot start has ended. */
  constructor(path: string) {
    this.#worker = new Worker(new URL("./insert_worker.ts", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }) => this.#answer?.resolve(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.end();
    };
    this.started = this.#ask(path).then(() => void (this.#state = "ready")).catch(() => this.end());
  }

  /** Whether it does not answer yet. */
  get starting(): boolean {
    return this.#state === "starting";
  }

  /** Whether it can insert now. Starting takes some dozens of milliseconds. */
  get ready(): boolean {
    return this.#state === "ready";
  }

  /**
   * Inserts lines, whose bytes it takes, and gives the edge that has grown. One call at a time, and nobody else may write meanwhile.
   *
   * @throws {ThreadEnded} Where the thread ended.
   * @throws {Error} Where the database cannot be written: nothing was inserted.
   */
  async insert(bytes: Uint8Array<ArrayBuffer>, edge: TreeEdge | null): Promise<TreeEdge | null> {
    const answer = await this.#ask({ bytes, edge: edge?.state() ?? null }, [bytes.buffer]);
    return answer.edge === null ? null : TreeEdge.from(answer.edge);
  }

  /** Ends the thread as it is. */
  end(): void {
    this.#state = "ended";
    this.#worker.terminate();
    this.#answer?.reject(new ThreadEnded("The thread of the audit log's database ended"));
  }

  /** Closes the connection and ends the thread. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === "starting") await this.#answer?.promise.catch(() => {});
    if (this.#state !== "ended") await this.#ask("close").catch(() => {});
    this.end();
  }

  async #ask(question: InsertQuestion, moved: ArrayBuffer[] = []): Promise<{ edge: EdgeState | null }> {
    if (this.#state === "ended") throw new ThreadEnded("The thread of the audit log's database ended");
    this.#answer = Promise.withResolvers<InsertAnswer>();
    this.#worker.postMessage(question, moved);
    try {
      const answer = await this.#answer.promise;
      if ("error" in answer) throw new Error(answer.error);
      return answer;
    } finally {
      this.#answer = null;
    }
  }
}
