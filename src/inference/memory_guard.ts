import type { MemoryReading } from "./memory_reader.ts";

/** How hard it is for the machine to find memory. */
export type Strain = "calm" | "uneasy" | "thrashing";

/**
 * From when on a machine thrashes, and below what it is calm again. In between it stays what it was.
 *
 * | measure | thrashing | calm |
 * |---|---|---|
 * | share of the time in which everything waited for memory (PSI `full`), of the machine or of the node's own group | 10 % | 2 % |
 * | pages read back from swap, each second, while pages also fault from disk | 1,000 (4 MB/s) | 100 |
 * | memory that is available | 2 % | 4 % |
 *
 * Faults alone are no sign: a model that is read for the first time faults once for each page. Nor is swap that is
 * written: what nobody uses is put there on a healthy machine.
 */
const BOUNDS = {
  stalled: { thrashing: 0.1, calm: 0.02 },
  swappedIn: { thrashing: 1_000, calm: 100 },
  majorFaults: { thrashing: 250 },
  available: { thrashing: 0.02, calm: 0.04 },
};

/** Readings in a row that show a machine thrashing before that is believed. */
const READINGS = 2;
/** How long the machine must be calm before work is taken again, in milliseconds. */
const CALM_MS = 20_000;

/** What two readings, one after the other, say together, and the sentence that tells the owner. */
export function strainOf(before: MemoryReading, now: MemoryReading): { strain: Strain; sentence: string } {
  const ms = now.ms - before.ms;
  if (!(ms > 0)) return { strain: "calm", sentence: "" };
  const stalled = Math.max(
    growth(before.stalledUs, now.stalledUs) / 1_000 / ms,
    growth(before.ownStalledUs, now.ownStalledUs) / 1_000 / ms,
  );
  const swapped = growth(before.swappedIn, now.swappedIn) * 1_000 / ms;
  const faults = growth(before.majorFaults, now.majorFaults) * 1_000 / ms;
  const { totalBytes, availableBytes } = now;
  const available = totalBytes === null || availableBytes === null || totalBytes === 0
    ? 1
    : availableBytes / totalBytes;
  if (stalled >= BOUNDS.stalled.thrashing) {
    return thrashing(`programs wait for memory ${Math.min(100, Math.round(stalled * 100))} % of the time`);
  }
  if (swapped >= BOUNDS.swappedIn.thrashing && faults >= BOUNDS.majorFaults.thrashing) {
    return thrashing(`${Math.round(swapped)} pages a second come back from swap`);
  }
  if (available < BOUNDS.available.thrashing) return thrashing(`${(available * 100).toFixed(1)} % of memory is left`);
  const calm = stalled < BOUNDS.stalled.calm && swapped < BOUNDS.swappedIn.calm && available >= BOUNDS.available.calm;
  return { strain: calm ? "calm" : "uneasy", sentence: "" };
}

/**
 * Tells whether this machine has memory enough to work for others. When it thrashes, which two readings in a row must
 * show, it is not ready; it is again when it was calm for twenty seconds. Where nothing can be read it is always ready.
 */
export class MemoryGuard {
  readonly #calmMs: number;
  #before: MemoryReading | null = null;
  #strained = 0;
  #calmSince: number | null = null;
  #reason: string | null = null;

  /** Makes a guard that has seen nothing yet. The machine must be calm for `calmMs` before work is taken again. */
  constructor({ calmMs = CALM_MS }: { calmMs?: number } = {}) {
    this.#calmMs = calmMs;
  }

  /** Whether there is memory enough. */
  get ready(): boolean {
    return this.#reason === null;
  }

  /** Why there is not, as a sentence for the owner, or null. */
  get reason(): string | null {
    return this.#reason;
  }

  /** Takes a reading; true where it changed whether the machine is ready. */
  note(reading: MemoryReading): boolean {
    const before = this.#before;
    this.#before = reading;
    if (before === null) return false;
    const was = this.ready;
    const { strain, sentence } = strainOf(before, reading);
    if (strain === "thrashing") {
      this.#calmSince = null;
      if (++this.#strained >= READINGS) this.#reason = sentence;
    } else {
      this.#strained = 0;
      this.#calmSince = strain === "calm" ? this.#calmSince ?? before.ms : null;
      if (this.#calmSince !== null && reading.ms - this.#calmSince >= this.#calmMs) this.#reason = null;
    }
    return was !== this.ready;
  }
}

function thrashing(what: string): { strain: Strain; sentence: string } {
  const sentence =
    `This machine has too little memory for what runs on it: ${what}; peers must wait until it is better`;
  return { strain: "thrashing", sentence };
}

/** By how much a count grew; 0 where it is not known, or began anew. */
function growth(before: number | null, now: number | null): number {
  return before === null || now === null ? 0 : Math.max(0, now - before);
}
