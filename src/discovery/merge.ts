import type { Discovery, Sighting } from "./discovery.ts";
import { SightingQueue } from "./sighting_queue.ts";

/**
 * Several discoveries as one: all run at once, and it ends when the last of them has ended. Merging none gives a
 * discovery that finds nothing and ends when the signal fires.
 */
export function merge(discoveries: readonly Discovery[]): Discovery {
  return new MergedDiscovery(discoveries);
}

class MergedDiscovery implements Discovery {
  readonly name: string;
  readonly #discoveries: readonly Discovery[];

  constructor(discoveries: readonly Discovery[]) {
    this.name = discoveries.map((discovery) => discovery.name).join("+") || "none";
    this.#discoveries = discoveries;
  }

  async *discover(signal: AbortSignal): AsyncGenerator<Sighting> {
    if (this.#discoveries.length === 0) return await aborted(signal);
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    const queue = new SightingQueue();
    const runs = this.#discoveries.map(async (discovery) => {
      for await (const sighting of discovery.discover(either)) queue.put(sighting);
    });
    const finished = Promise.all(runs).then(() => queue.close(), (fault) => queue.close(fault));
    try {
      yield* queue.until(signal);
    } finally {
      stop.abort();
      await finished;
      await Promise.allSettled(runs);
    }
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
