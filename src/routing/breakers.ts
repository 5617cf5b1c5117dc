/**
 * How one that answers stands for one model.
 *
 * | state | meaning | becomes |
 * |---|---|---|
 * | `closed` | it is asked as its rank says | `open` after three failures in a row |
 * | `open` | it is asked only where nobody else is left | `half_open` when its time is over |
 * | `half_open` | one request may try it; all others see it as open | `closed` with that one's first token, `open` for twice as long when it fails |
 *
 * It is open for 1 s at first, and for no more than 60 s. A failure after such a first token opens it again at once, and
 * only an answer that came to its end makes everything as it was. Whoever is open is never left out altogether: where all
 * others have failed it is better than nothing.
 */
export type BreakerState = "closed" | "open" | "half_open";

/** Options of {@linkcode Breakers}. */
export interface BreakersOptions {
  /** Monotonic time in milliseconds. @default {performance.now} */
  clock?: () => number;
  /** Most pairs of key and model that are remembered; the one that was not used for longest is forgotten. @default {4096} */
  most?: number;
}

interface Breaker {
  /** In a row. */
  failures: number;
  /** How long it is open the next time, in milliseconds. */
  nextMs: number;
  /** Until when it is open, or null where it is closed. */
  openUntil: number | null;
  /** Whether a request tries it now. */
  probing: boolean;
}

const FAILURES = 3;
const FIRST_MS = 1_000;
const LONGEST_MS = 60_000;

/** A circuit breaker for each peer and model. */
export class Breakers {
  readonly #clock: () => number;
  readonly #most: number;
  /** Only those that failed lately; the one that was used last comes last. */
  readonly #breakers = new Map<string, Breaker>();

  /** Makes one in which all are closed. */
  constructor({ clock = () => performance.now(), most = 4_096 }: BreakersOptions = {}) {
    this.#clock = clock;
    this.#most = most;
  }

  /** How one stands. */
  state(key: string, model: string): BreakerState {
    const breaker = this.#breakers.get(nameOf(key, model));
    if (breaker === undefined || breaker.openUntil === null) return "closed";
    return breaker.probing || this.#clock() < breaker.openUntil ? "open" : "half_open";
  }

  /** How many are open, and how many half open. */
  counts(): { open: number; half_open: number } {
    const counts = { open: 0, half_open: 0 };
    for (const { openUntil, probing } of this.#breakers.values()) {
      if (openUntil !== null) counts[probing || this.#clock() < openUntil ? "open" : "half_open"]++;
    }
    return counts;
  }

  /** A request asks it now: where it is half open, this is the one that tries it. */
  asked(key: string, model: string): void {
    const breaker = this.#breakers.get(nameOf(key, model));
    if (breaker !== undefined && this.state(key, model) === "half_open") breaker.probing = true;
  }

  /** Its first token came. */
  began(key: string, model: string): void {
    const breaker = this.#breakers.get(nameOf(key, model));
    if (breaker === undefined || breaker.openUntil === null) return;
    breaker.openUntil = null;
    breaker.probing = false;
    breaker.failures = FAILURES - 1;
  }

  /** Its answer came to its end. */
  succeeded(key: string, model: string): void {
    this.#breakers.delete(nameOf(key, model));
  }

  /** It failed. */
  failed(key: string, model: string): void {
    const name = nameOf(key, model);
    const breaker = this.#breakers.get(name) ?? { failures: 0, nextMs: FIRST_MS, openUntil: null, probing: false };
    this.#breakers.delete(name);
    this.#breakers.set(name, breaker);
    const [oldest] = this.#breakers.keys();
    if (this.#breakers.size > this.#most && oldest !== undefined) this.#breakers.delete(oldest);
    breaker.failures++;
    breaker.probing = false;
    if (breaker.failures < FAILURES) return;
    const now = this.#clock();
    // Requests that were on their way when it opened say nothing new.
    if (breaker.openUntil !== null && now < breaker.openUntil) return;
    breaker.openUntil = now + breaker.nextMs;
    breaker.nextMs = Math.min(LONGEST_MS, 2 * breaker.nextMs);
  }

  /** A request to it was given up, or ended in a way that says nothing about it. */
  left(key: string, model: string): void {
    const breaker = this.#breakers.get(nameOf(key, model));
    if (breaker !== undefined) breaker.probing = false;
  }
}

function nameOf(key: string, model: string): string {
  return `${key}\n${model}`;
}
