/** Bytes in a second below which peers are too slow, whatever the link can do. */
const LEAST_RATE = 2e6;
/** Share of the link below which peers are too slow, and above which they are enough. */
const TOO_SLOW = 0.25;
const ENOUGH = 0.5;
/** For how long they must be too slow, or enough, before something changes: in milliseconds. */
const SLOW_MS = 10_000;
const ENOUGH_MS = 2_000;

/**
 * Decides whether origins help. They join where what peers give together is less than 2 MB/s, or than a quarter of what the
 * link was seen to carry, for ten seconds; and leave again when peers give more than half of it.
 */
export class Tiers {
  #link: number;
  #slowSince: number | null = null;
  #enoughSince: number | null = null;
  #open = false;

  /** Begins with what the link was seen to carry, in bytes a second, or 0. */
  constructor(link = 0) {
    this.#link = link;
  }

  /** What the link was seen to carry, in bytes a second. */
  get link(): number {
    return this.#link;
  }

  /** Whether origins are asked for anything, and not only for what no peer has. */
  get open(): boolean {
    return this.#open;
  }

  /** Takes what comes now from peers, and from all, in bytes a second. */
  look({ peers, all, now }: { peers: number; all: number; now: number }): void {
    this.#link = Math.max(this.#link, all);
    const slow = peers < Math.max(LEAST_RATE, TOO_SLOW * this.#link);
    const enough = !slow && peers > ENOUGH * this.#link;
    this.#slowSince = slow ? this.#slowSince ?? now : null;
    this.#enoughSince = enough ? this.#enoughSince ?? now : null;
    if (this.#slowSince !== null && now - this.#slowSince >= SLOW_MS) this.#open = true;
    if (this.#enoughSince !== null && now - this.#enoughSince >= ENOUGH_MS) this.#open = false;
  }
}
