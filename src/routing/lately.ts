import { setTimeout as pause } from "node:timers/promises";
import type { ModelRef } from "@ark/node/protocol";

/** How long ago a model may have been within reach for its return to be waited for, in milliseconds. */
const LATELY_MS = 10_000;
/** How long that is waited for, and how often it is looked, in milliseconds. */
const PATIENCE_MS = 2_000;
const LOOK_MS = 50;
/** Models that are remembered. */
const MOST = 256;

/**
 * Models that were within reach a moment ago: where all who have one are unreachable at once, their return is waited for
 * a little, since most links that break come back before a person would have asked again.
 */
export class Lately {
  /** When each was within reach last; the one that was so for longest not comes first. */
  readonly #seen = new Map<ModelRef, number>();
  readonly #away: () => boolean;
  readonly #clock: () => number;

  /** `away` tells whether any peer that could be asked is unreachable now. */
  constructor(away: () => boolean, clock: () => number = () => performance.now()) {
    this.#away = away;
    this.#clock = clock;
  }

  /** Whether peers are away that may come back. */
  get away(): boolean {
    return this.#away();
  }

  /** Who can answer, at once or after a little while; nobody where nobody comes back. */
  async found<T>(
    model: ModelRef,
    { look, signal }: { look: () => T[]; signal: AbortSignal },
  ): Promise<T[]> {
    let found = look();
    const seenAt = this.#seen.get(model) ?? -Infinity;
    const began = this.#clock();
    if (found.length === 0 && began - seenAt < LATELY_MS) {
      while (found.length === 0 && !signal.aborted && this.#away() && this.#clock() - began < PATIENCE_MS) {
        await pause(LOOK_MS, undefined, { signal }).catch(() => {});
        found = look();
      }
    }
    if (found.length > 0) this.#note(model);
    return found;
  }

  #note(model: ModelRef): void {
    this.#seen.delete(model);
    this.#seen.set(model, this.#clock());
    const [oldest] = this.#seen.keys();
    if (this.#seen.size > MOST && oldest !== undefined) this.#seen.delete(oldest);
  }
}
