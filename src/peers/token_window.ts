const DAY_MS = 24 * 3_600_000;
const SLOT_MS = 10 * 60_000;

/** Tokens of ten minutes, and how long ago these ended: what is kept over a restart. */
export interface TokenSlot {
  /** Milliseconds since the ten minutes ended; 0 where they have not. */
  age_ms: number;
  /** Tokens. */
  tokens: number;
}

/**
 * Tokens of the last 24 hours by a monotonic clock, in slots of ten minutes. A slot counts until its end is a day ago, so
 * that in no 24 hours there are more than the limit; what was spent comes back up to ten minutes late.
 */
export class TokenWindow {
  /** By the number of the slot, the oldest first. */
  #slots = new Map<number, number>();

  /** Takes up what was kept. */
  constructor(kept: readonly TokenSlot[] = [], now = 0) {
    for (const { age_ms, tokens } of kept.toSorted((a, b) => b.age_ms - a.age_ms)) this.add(tokens, now - age_ms);
  }

  /** Tokens that count at `now`. */
  used(now: number): number {
    this.#forget(now);
    return this.#slots.values().reduce((sum, tokens) => sum + tokens, 0);
  }

  /** Milliseconds until no more than `most` count; 0 where that is so now. */
  freeInMs(most: number, now: number): number {
    let used = this.used(now);
    let at = now;
    for (const [slot, tokens] of this.#slots) {
      if (used <= most) break;
      used -= tokens;
      at = endOf(slot) + DAY_MS;
    }
    return at - now;
  }

  /** Notes tokens that were spent now. */
  add(tokens: number, now: number): void {
    if (tokens <= 0) return;
    const slot = Math.floor(now / SLOT_MS);
    this.#slots.set(slot, (this.#slots.get(slot) ?? 0) + tokens);
  }

  /** All that counts, to be kept. */
  slots(now: number): TokenSlot[] {
    this.#forget(now);
    return [...this.#slots].map(([slot, tokens]) => ({ age_ms: Math.max(0, Math.round(now - endOf(slot))), tokens }));
  }

  #forget(now: number): void {
    for (const slot of this.#slots.keys()) {
      if (endOf(slot) + DAY_MS > now) break;
      this.#slots.delete(slot);
    }
  }
}

function endOf(slot: number): number {
  return (slot + 1) * SLOT_MS;
}
