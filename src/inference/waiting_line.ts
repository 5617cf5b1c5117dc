/** Who waits, and how urgently. */
export interface Waiter {
  /** The owner's go before all of peers. */
  readonly priority: "owner" | "peer";
}

/**
 * A bounded line. The owner's requests stand before those of peers, and each kind in the order of its coming. Where the
 * line is full, a request of the owner takes the place of the last peer: a peer cannot keep the owner out.
 */
export class WaitingLine<T extends Waiter> {
  readonly #most: number;
  #owner: T[] = [];
  #peers: T[] = [];

  /** Makes an empty line for at most so many. */
  constructor(most: number) {
    this.#most = most;
  }

  /** How many wait. */
  get length(): number {
    return this.#owner.length + this.#peers.length;
  }

  /** All who wait, in their order. */
  list(): T[] {
    return [...this.#owner, ...this.#peers];
  }

  /** Takes one in, and returns the one for whom there is no place: none, a peer in its stead, or itself. */
  add(waiter: T): T | undefined {
    if (this.length >= this.#most) {
      const displaced = waiter.priority === "owner" ? this.#peers.pop() : undefined;
      if (displaced === undefined) return waiter;
      this.#owner.push(waiter);
      return displaced;
    }
    (waiter.priority === "owner" ? this.#owner : this.#peers).push(waiter);
    return undefined;
  }

  /** Puts one back that had its turn and gave way: before all others of its kind, also where the line is full. */
  putBack(waiter: T): void {
    (waiter.priority === "owner" ? this.#owner : this.#peers).unshift(waiter);
  }

  /** Takes one out; false where it does not wait. */
  remove(waiter: T): boolean {
    const before = this.length;
    this.#owner = this.#owner.filter((each) => each !== waiter);
    this.#peers = this.#peers.filter((each) => each !== waiter);
    return this.length < before;
  }
}
