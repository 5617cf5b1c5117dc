import { ArkError } from "@ark/node/protocol";

/** How often a model failed in a row, and when it may be tried again by the monotonic clock. */
interface Failure {
  count: number;
  retryAt: number;
  error: ArkError;
}

const LONGEST_BACKOFF_MS = 60_000;
/** Models whose failures are remembered. */
const MOST_MODELS = 256;

/** Models that failed: each is left alone for a while, longer after each failure in a row. */
export class Failures {
  readonly #failures = new Map<string, Failure>();

  /** Takes a failure, and returns how many there were in a row. */
  add(key: string, { error, loaded }: { error: ArkError; loaded: boolean }): number {
    const count = (this.#failures.get(key)?.count ?? 0) + 1;
    // A first crash while it answered may be chance, so the next request tries at once; a failed load seldom is.
    const steps = loaded ? count - 1 : count;
    const delay = steps === 0 ? 0 : Math.min(LONGEST_BACKOFF_MS, 1_000 * 2 ** (steps - 1));
    this.#failures.delete(key);
    this.#failures.set(key, { count, retryAt: performance.now() + delay, error });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > MOST_MODELS && oldest !== undefined) this.#failures.delete(oldest);
    return count;
  }

  /** Forgets what went wrong with a model: it answered. */
  clear(key: string): void {
    this.#failures.delete(key);
  }

  /** Why a model may not be tried now, and when it may be, or null. */
  current(key: string): ArkError | null {
    const failure = this.#failures.get(key);
    const waitMs = (failure?.retryAt ?? 0) - performance.now();
    if (failure === undefined || waitMs <= 0) return null;
    const { code, message } = failure.error;
    return new ArkError(code, message, { cause: failure.error, retryAfterSeconds: Math.ceil(waitMs / 1_000) });
  }
}
