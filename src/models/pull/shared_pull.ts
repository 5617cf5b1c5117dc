import type { PullProgress } from "./pull_progress.ts";

/** One who follows a pull. What is not read yet is replaced by what is newer, so that nobody's slowness takes memory. */
class Follower {
  readonly #queue: PullProgress[] = [];
  #wake = Promise.withResolvers<void>();

  push(progress: PullProgress): void {
    const last = this.#queue.at(-1);
    if (last !== undefined && last.status === progress.status && last.digest === progress.digest) this.#queue.pop();
    this.#queue.push(progress);
    this.wake();
  }

  wake(): void {
    this.#wake.resolve();
  }

  next(): PullProgress | undefined {
    return this.#queue.shift();
  }

  async wait(): Promise<void> {
    await this.#wake.promise;
    this.#wake = Promise.withResolvers();
  }
}

/** A pull that several may follow. It ends when it is done, or when the last of them has left. */
export class SharedPull {
  readonly #followers = new Set<Follower>();
  readonly #leave = new AbortController();
  #last: PullProgress | undefined;
  #outcome: { error: unknown } | null = null;
  /** Resolves when it has ended, however it ended. */
  readonly done: Promise<void>;

  /** Begins at once. */
  constructor(work: (options: { signal: AbortSignal; tell(progress: PullProgress): void }) => Promise<void>) {
    const tell = (progress: PullProgress) => {
      this.#last = progress;
      for (const follower of this.#followers) follower.push(progress);
    };
    this.done = work({ signal: this.#leave.signal, tell }).then(
      () => this.#end(undefined),
      (error) => this.#end(error),
    );
  }

  /** Whether someone may still join. */
  get open(): boolean {
    return this.#outcome === null && !this.#leave.signal.aborted;
  }

  /** What happens from now on. Throws what the pull failed with, or the signal's reason. */
  async *follow(signal: AbortSignal): AsyncGenerator<PullProgress> {
    const follower = new Follower();
    if (this.#last !== undefined) follower.push(this.#last);
    this.#followers.add(follower);
    const wake = () => follower.wake();
    signal.addEventListener("abort", wake);
    try {
      for (;;) {
        signal.throwIfAborted();
        const progress = follower.next();
        if (progress !== undefined) yield progress;
        else if (this.#outcome === null) await follower.wait();
        else if (this.#outcome.error === undefined) return;
        else throw this.#outcome.error;
      }
    } finally {
      signal.removeEventListener("abort", wake);
      this.#followers.delete(follower);
      if (this.#followers.size === 0 && this.#outcome === null) {
        this.#leave.abort();
        // Whoever asks for the same right afterwards must not meet this one's open file.
        await this.done;
      }
    }
  }

  #end(error: unknown): void {
    this.#outcome = { error };
    for (const follower of this.#followers) follower.wake();
  }
}
