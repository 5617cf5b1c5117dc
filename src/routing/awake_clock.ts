/** A wait that is measured by an {@linkcode AwakeClock}; disposing it ends it without a call. */
export interface Wait extends Disposable {
  /** Begins anew, with so many milliseconds. */
  again(ms: number): void;
}

interface Entry {
  /** Time of the clock. */
  due: number;
  /** Rounds of the event loop that it has seen. */
  rounds: number;
  over(): void;
}

/** How often the clock looks, in milliseconds. What it measures is as exact as that. */
const TICK_MS = 100;
/** Rounds that a wait has to see: in the first one after a long pause of ours, what arrived meanwhile is not read yet. */
const LEAST_ROUNDS = 2;

/**
 * Measures how long others keep this node waiting. Time in which its own event loop was held up (hundreds of handshakes
 * at once, a suspended machine) does not count: what arrived meanwhile lay unread, and says nothing about whoever sent it.
 */
export class AwakeClock {
  readonly #entries = new Set<Entry>();
  #now = 0;
  #lost = 0;
  #tickedAt = performance.now();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Milliseconds in which the event loop was held up while somebody waited. It only grows. */
  get lostMs(): number {
    return this.#lost + Math.max(0, this.#timer === undefined ? 0 : performance.now() - this.#tickedAt - TICK_MS);
  }

  /** Calls back once, when this node has been awake for so many milliseconds. */
  wait(ms: number, over: () => void): Wait {
    if (this.#timer === undefined) {
      this.#tickedAt = performance.now();
      this.#timer = setInterval(() => this.#tick(), TICK_MS);
    }
    const entry: Entry = { due: this.#read() + ms, rounds: 0, over };
    this.#entries.add(entry);
    return {
      again: (ms) => {
        if (!this.#entries.has(entry)) return;
        entry.due = this.#read() + ms;
        entry.rounds = 0;
      },
      [Symbol.dispose]: () => this.#end(entry),
    };
  }

  #read(): number {
    return this.#now + Math.min(TICK_MS, performance.now() - this.#tickedAt);
  }

  #tick(): void {
    const now = performance.now();
    const ms = now - this.#tickedAt;
    this.#now += Math.min(TICK_MS, ms);
    this.#lost += Math.max(0, ms - TICK_MS);
    this.#tickedAt = now;
    for (const entry of [...this.#entries]) {
      entry.rounds++;
      if (entry.due > this.#now || entry.rounds < LEAST_ROUNDS) continue;
      this.#end(entry);
      entry.over();
    }
  }

  #end(entry: Entry): void {
    this.#entries.delete(entry);
    if (this.#entries.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
