import { setTimeout as pause } from "node:timers/promises";

/** Where the times of a swarm come from; tests have one of their own. */
export interface SwarmClock {
  /** Monotonic milliseconds. */
  now(): number;
  /** Waits; returns early when the signal fires, and never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** The machine's clock. */
export const SWARM_CLOCK: SwarmClock = {
  now: () => performance.now(),
  sleep: (ms, signal) => pause(ms, undefined, { signal }).catch(() => {}),
};
