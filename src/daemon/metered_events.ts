import type { ArkEvent, Events, Metrics } from "@ark/node/telemetry";

/** Events that are also counted: requests, how they ended, their tokens and how long they took. No names of peers. */
export function meteredEvents(events: Events, metrics: Metrics): Pick<Events, "emit"> {
  const requests = metrics.counter("ark_requests_total", "Requests that ended.", ["direction", "outcome"]);
  const tokens = metrics.counter("ark_tokens_total", "Tokens that models wrote.", ["direction"]);
  const duration = metrics.histogram("ark_request_ms", "Duration of requests in milliseconds.", {
    labels: ["direction"],
  });
  const running = metrics.gauge("ark_requests_running", "Requests that run now.", ["direction"]);
  return {
    emit(event: ArkEvent) {
      if (event.type === "request") {
        const { direction } = event;
        running.add(event.phase === "start" ? 1 : -1, { direction });
        if (event.phase === "end") {
          requests.add(1, { direction, outcome: event.outcome ?? "ok" });
          tokens.add(event.tokens ?? 0, { direction });
          duration.observe(event.ms ?? 0, { direction });
        }
      }
      events.emit(event);
    },
  };
}
