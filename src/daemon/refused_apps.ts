import type { Logger, Metrics } from "@ark/node/telemetry";

const QUIET_MS = 60_000;

/**
 * Takes note of requests to the owner's API that had no valid key: each is counted, and one a minute is in the log with
 * the address that it came from, so that nobody can fill the log by asking.
 */
export function refusedApps(
  { metrics, logger, now = () => performance.now() }: {
    metrics: Pick<Metrics, "counter">;
    logger: Pick<Logger, "warn">;
    now?: () => number;
  },
): (remote: string) => void {
  const counter = metrics.counter("ark_api_refused_total", "Requests to the owner's API that had no valid key.");
  let saidAt = -Infinity;
  return (remote) => {
    counter.add();
    if (now() - saidAt < QUIET_MS) return;
    saidAt = now();
    logger.warn("An app was refused, since it sent no valid API key", { address: remote });
  };
}
