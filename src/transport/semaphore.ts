/** Lets a number of holders in at once; the others wait in order. */
export class Semaphore {
  #free: number;
  readonly #waiting = new Set<() => void>();

  /** Makes a semaphore with `places` free places. */
  constructor(places: number) {
    this.#free = places;
  }

  /** Takes a place where one is free now, else null. Dispose to give it back. */
  takeNow(): Disposable | null {
    if (this.#free === 0) return null;
    this.#free--;
    return this.#place();
  }

  /** Takes a place, when one is free. Rejects with the signal's reason when that fires first. Dispose to give it back. */
  async take(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    const now = this.takeNow();
    if (now !== null) return now;
    await this.#wait(signal);
    return this.#place();
  }

  #place(): Disposable {
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (held) this.#give();
        held = false;
      },
    };
  }

  #wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const go = () => {
      signal.removeEventListener("abort", stop);
      resolve();
    };
    const stop = () => {
      this.#waiting.delete(go);
      reject(signal.reason);
    };
    this.#waiting.add(go);
    signal.addEventListener("abort", stop, { once: true });
    return promise;
  }

  #give(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free++;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
