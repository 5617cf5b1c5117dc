/** Calls for help when nobody wakes it in time. */
export interface Watchdog extends Disposable {
  /** Whether it has called. */
  readonly barked: boolean;
  /** Starts the time anew, in milliseconds. */
  wake(ms: number): void;
  /** Stops the time until it is woken. */
  rest(): void;
}

/** How often it looks in the time that it waits; by so much of it may a call be late. */
const LOOKS = 8;

/**
 * Starts a watchdog that is awake and calls `bark` once, no earlier than it should and up to an eighth of the time later.
 * Being woken for the same time again costs no look at the clock, since that happens with each token.
 */
export function startWatchdog(bark: () => void, ms: number): Watchdog {
  let barked = false;
  let woken = false;
  let resting = false;
  let limit = ms;
  let until = performance.now() + ms;
  let nextLook = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  lookIn(ms / LOOKS);
  return {
    get barked() {
      return barked;
    },
    wake(time) {
      if (time === limit && !resting) {
        woken = true;
        return;
      }
      resting = woken = false;
      limit = time;
      until = performance.now() + time;
      if (nextLook > until) lookIn(time);
    },
    rest() {
      resting = true;
      woken = false;
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };

  function lookIn(wait: number) {
    clearTimeout(timer);
    nextLook = performance.now() + wait;
    timer = setTimeout(look, wait);
  }

  function look() {
    if (resting) return lookIn(limit / LOOKS);
    const now = performance.now();
    if (woken) until = now + limit;
    woken = false;
    const left = until - now;
    if (left > 0) return lookIn(Math.min(left, limit / LOOKS));
    barked = true;
    bark();
  }
}
