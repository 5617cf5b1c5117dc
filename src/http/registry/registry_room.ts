import type { RegistryStore } from "@ark/node/store";

/** How long a count is believed, in milliseconds: where another process writes to the same database, it goes up unseen. */
const COUNTED_MS = 60_000;
/** How often a registry that seems full is counted, in milliseconds. */
const FULL_MS = 1_000;

/** Whether a registry has room. To count all its nodes for each registration would cost more than the registration. */
export class RegistryRoom {
  readonly #store: Pick<RegistryStore, "count">;
  readonly #most: number;
  /** At most so many nodes are kept, as far as this process knows: a renewal counts like a new one. */
  #known = 0;
  #countedAt = -Infinity;
  #counting: Promise<void> | null = null;

  /** Room for so many nodes. */
  constructor(store: Pick<RegistryStore, "count">, most: number) {
    this.#store = store;
    this.#most = most;
  }

  /** Whether there is room for none but those that are kept already. */
  async full(now: number = performance.now()): Promise<boolean> {
    const fresh = this.#known < this.#most ? COUNTED_MS : FULL_MS;
    if (now - this.#countedAt >= fresh) this.#counting ??= this.#count(now);
    // Nobody goes by a number from before: many may come while it is counted.
    await this.#counting;
    return this.#known >= this.#most;
  }

  /** Takes note of a registration. */
  taken(): void {
    this.#known++;
  }

  async #count(now: number): Promise<void> {
    try {
      this.#known = await this.#store.count();
      this.#countedAt = now;
    } finally {
      this.#counting = null;
    }
  }
}
