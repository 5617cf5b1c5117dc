import { lasting } from "@ark/node/peers";
import { ArkError } from "@ark/node/protocol";
import type { ApiKeyTerms } from "./api_key.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** One question of a key. Its place comes back when it is disposed, however the question ended. */
export interface KeyLease extends Disposable {
  /** Aborts when the key is taken back. */
  readonly signal: AbortSignal;
  /** Tokens that are left today, or null where there is no such limit. */
  readonly tokensLeft: number | null;
  /** Notes tokens of the prompt or the answer; false when the day's are used up. */
  spend(tokens: number): boolean;
}

/** Counts what one key uses, by a monotonic clock, and says when it is too much. */
export class KeyMeter {
  readonly #terms: ApiKeyTerms;
  readonly #now: () => number;
  readonly #running = new Set<AbortController>();
  /** Questions that may begin at once; refills with the minute. */
  #allowance: number;
  #refilledAt: number;
  #dayBegan: number;
  #dayTokens = 0;

  /** Begins to count; `used` is what an earlier process counted, and how long ago its day began. */
  constructor(terms: ApiKeyTerms, now: () => number, used: { tokens: number; sinceMs: number } | null = null) {
    this.#terms = terms;
    this.#now = now;
    this.#allowance = terms.max_requests_per_minute ?? 0;
    this.#refilledAt = now();
    this.#dayBegan = now() - (used?.sinceMs ?? 0);
    this.#dayTokens = used?.tokens ?? 0;
  }

  /** Tokens of the present 24 hours, and how long ago these began, in milliseconds. */
  get day(): { tokens: number; sinceMs: number } {
    this.#turnDay();
    return { tokens: this.#dayTokens, sinceMs: this.#now() - this.#dayBegan };
  }

  /**
   * Admits a question.
   *
   * @throws {ArkError} `busy`, with the time after which it is worth trying again.
   */
  admit(): KeyLease {
    const { max_concurrent_requests: most, max_tokens_per_day: perDay } = this.#terms;
    this.#turnDay();
    if (most !== null && this.#running.size >= most) {
      throw busy(`This API key may ask ${count(most, "question")} at a time`, 1);
    }
    if (perDay !== null && this.#dayTokens >= perDay) {
      const left = DAY_MS - (this.#now() - this.#dayBegan);
      throw busy(`This API key has used its ${count(perDay, "token")} of the day`, left / 1_000);
    }
    this.#take();
    const end = new AbortController();
    this.#running.add(end);
    return {
      signal: end.signal,
      tokensLeft: perDay === null ? null : perDay - this.#dayTokens,
      spend: (tokens) => this.#spend(tokens),
      [Symbol.dispose]: () => void this.#running.delete(end),
    };
  }

  /** Ends what runs. */
  end(): void {
    for (const running of this.#running) running.abort();
  }

  #take(): void {
    const perMinute = this.#terms.max_requests_per_minute;
    if (perMinute === null) return;
    const now = this.#now();
    this.#allowance = Math.min(perMinute, this.#allowance + (now - this.#refilledAt) / MINUTE_MS * perMinute);
    this.#refilledAt = now;
    if (this.#allowance < 1) {
      const wait = (1 - this.#allowance) / perMinute * 60;
      throw busy(`This API key may ask ${count(perMinute, "question")} a minute`, wait);
    }
    this.#allowance -= 1;
  }

  #spend(tokens: number): boolean {
    this.#turnDay();
    this.#dayTokens += tokens;
    const { max_tokens_per_day: perDay } = this.#terms;
    return perDay === null || this.#dayTokens <= perDay;
  }

  #turnDay(): void {
    const now = this.#now();
    if (now - this.#dayBegan < DAY_MS) return;
    this.#dayBegan = now;
    this.#dayTokens = 0;
  }
}

function busy(what: string, seconds: number): ArkError {
  const retryAfterSeconds = Math.max(1, seconds);
  return new ArkError("busy", `${what}; try again in ${lasting(retryAfterSeconds * 1_000)}`, { retryAfterSeconds });
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
