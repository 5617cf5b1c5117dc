import type { NodeId } from "@ark/node/identity";
import type { Clock } from "./clock.ts";

/** Unknown keys that are remembered. */
const MOST_KNOCKERS = 1_024;

/** Which unknown keys knocked lately, so that each is told of once in a while. */
export class Knocks {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #knocked = new Map<NodeId, number>();

  /** Remembers a key for so many milliseconds. */
  constructor(clock: Clock, everyMs: number) {
    this.#clock = clock;
    this.#everyMs = everyMs;
  }

  /** Notes that a key knocks; false where it did so a moment ago. */
  isNew(id: NodeId): boolean {
    const now = this.#clock.monotonicMs();
    if (now - (this.#knocked.get(id) ?? -Infinity) < this.#everyMs) return false;
    this.#knocked.delete(id);
    const oldest = this.#knocked.keys().next().value;
    if (this.#knocked.size >= MOST_KNOCKERS && oldest !== undefined) this.#knocked.delete(oldest);
    this.#knocked.set(id, now);
    return true;
  }
}
