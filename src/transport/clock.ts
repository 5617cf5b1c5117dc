/** Where time comes from; a test brings its own. */
export interface Clock {
  /** Milliseconds that only ever grow. Limits and lifetimes use these. */
  monotonicMs(): number;
  /** Milliseconds since 1970 as the machine believes. Only the time inside a signature uses these. */
  wallMs(): number;
}

/** The machine's clocks. */
export const SYSTEM_CLOCK: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};
