import { ArkError } from "@ark/node/protocol";
import type { Flight } from "./chunk_book.ts";
import type { SwarmClock } from "./swarm_clock.ts";

/** Longest time without a byte of a chunk, in milliseconds. */
const SILENCE_MS = 10_000;

/** Waits for a chunk, but gives up on a source from which nothing at all comes for very long. */
export async function patiently<T>(
  flight: Flight,
  { abort, clock }: { abort: AbortController; clock: SwarmClock },
  work: () => Promise<T>,
): Promise<T> {
  const settled = new AbortController();
  const watch = (async () => {
    for (let before = -1; before !== flight.arrived && !settled.signal.aborted;) {
      before = flight.arrived;
      await clock.sleep(SILENCE_MS, settled.signal);
    }
    if (settled.signal.aborted) return;
    abort.abort(new ArkError("unavailable", `Nothing came from it for ${SILENCE_MS / 1_000} seconds`));
  })();
  try {
    return await work();
  } finally {
    settled.abort();
    await watch;
  }
}
