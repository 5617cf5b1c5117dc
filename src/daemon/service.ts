import { reasonOf } from "@ark/node/protocol";
import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "@ark/node/telemetry";

/** Something that runs for as long as the node does. */
export interface Service {
  /** For messages. */
  readonly name: string;
  /** Works until the signal fires, and then returns. */
  run(signal: AbortSignal): Promise<void>;
}

const SHORTEST_MS = 1_000;
const LONGEST_MS = 60_000;

/**
 * Runs services until the signal fires. One that fails, or ends early, is started again after 1 s, and later each time up
 * to a minute; the others go on meanwhile.
 */
export async function supervise(
  services: readonly Service[],
  { signal, logger }: { signal: AbortSignal; logger: Logger },
): Promise<void> {
  await Promise.all(services.map((service) => keepRunning(service, { signal, logger })));
}

async function keepRunning(
  service: Service,
  { signal, logger }: { signal: AbortSignal; logger: Logger },
): Promise<void> {
  let wait = SHORTEST_MS;
  while (!signal.aborted) {
    const began = performance.now();
    let reason = "it ended";
    try {
      await service.run(signal);
    } catch (error) {
      reason = reasonOf(error);
    }
    if (signal.aborted) return;
    if (performance.now() - began > LONGEST_MS) wait = SHORTEST_MS;
    logger.error("A part of the node failed and is started again", { name: service.name, reason, ms: wait });
    await pause(wait, undefined, { signal }).catch(() => {});
    wait = Math.min(wait * 2, LONGEST_MS);
  }
}
