/** Calls for help when nobody wakes it in time. */
export interface Watchdog extends Disposable {
  /** Whether it has called. */
  readonly barked: boolean;
  /** Starts the time anew, in milliseconds. */
  wake(ms: number): void;
  /** Stops the time until it is woken. */
  rest(): void;
}

/**
 * Starts a watchdog that is awake and calls `bark` once. It looks at the clock a few times per limit instead of setting a
 * timer for each token.
 */
export function startWatchdog(bark: () => void, ms: number): Watchdog {
  let barked = false;
  let until = performance.now() + ms;
  let nextLook = until;
  let timer = setTimeout(look, ms);
  return {
    get barked() {
      return barked;
    },
    wake(limit) {
      until = performance.now() + limit;
      if (until < nextLook) lookIn(limit);
    },
    rest() {
      until = Infinity;
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };

  function lookIn(wait: number) {
    clearTimeout(timer);
    nextLook = performance.now() + wait;
    timer = setTimeout(look, wait);
  }

  function look() {
    const left = until - performance.now();
    if (left > 0) return lookIn(Math.min(left, ms));
    barked = true;
    bark();
  }
}
