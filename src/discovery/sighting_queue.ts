import type { Sighting } from "./discovery.ts";

/** More addresses than this waiting for a consumer are a flood; the oldest are dropped, and come again if they last. */
const MOST_WAITING = 256;

/** Sightings on their way to one consumer. A newer one about the same address replaces the older. */
export class SightingQueue {
  readonly #waiting = new Map<string, Sighting>();
  #news = Promise.withResolvers<void>();
  #closed = false;
  #fault: unknown = null;

  /** Adds a sighting; never waits. */
  put(sighting: Sighting): void {
    const key = `${sighting.source} ${sighting.address.hostname} ${sighting.address.port}`;
    this.#waiting.delete(key);
    this.#waiting.set(key, sighting);
    const oldest = this.#waiting.keys().next().value;
    if (this.#waiting.size > MOST_WAITING && oldest !== undefined) this.#waiting.delete(oldest);
    this.#news.resolve();
  }

  /** Ends the iteration once what waits is taken; with a fault the iteration throws it then. */
  close(fault: unknown = null): void {
    this.#closed = true;
    this.#fault ??= fault;
    this.#news.resolve();
  }

  /** Takes sightings as they come, and none that comes after a signal is aborted. */
  async *until(signal: AbortSignal): AsyncGenerator<Sighting> {
    for await (const sighting of this) {
      if (signal.aborted) return;
      yield sighting;
    }
  }

  /** Takes sightings as they come. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Sighting> {
    while (true) {
      for (const [key, sighting] of this.#waiting) {
        this.#waiting.delete(key);
        yield sighting;
      }
      if (this.#waiting.size > 0) continue;
      if (this.#fault !== null) throw this.#fault;
      if (this.#closed) return;
      await this.#news.promise;
      this.#news = Promise.withResolvers<void>();
    }
  }
}
