import type { Answers } from "@ark/node/http";
import { type ErrorCode, type InferenceEvent, type InferenceRequest, toArkError, tokensOf } from "@ark/node/protocol";
import type { Route, RouteOptions, Router } from "@ark/node/routing";
import type { Events, Logger } from "@ark/node/telemetry";

/** A router whose requests are told of when they begin and end. */
export function observedAnswers(
  router: Pick<Router, "infer" | "models">,
  { events, logger }: { events: Pick<Events, "emit">; logger: Logger },
): Answers {
  return {
    models: () => router.models(),
    async *infer(request: InferenceRequest, options: RouteOptions): AsyncGenerator<InferenceEvent> {
      const began = performance.now();
      let route: Route | null = null;
      let tokens = 0;
      let outcome: "ok" | ErrorCode = "cancelled";
      const { model } = request;
      const id = crypto.randomUUID();
      const whole = () => {
        const direction = route === null || route.peer === null ? "own" as const : "out" as const;
        return { type: "request" as const, request: id, direction, peer: route?.peer ?? null, model };
      };
      const chosen = (now: Route) => {
        // After a first candidate has failed, the request goes on under the next one's name.
        if (route !== null) events.emit({ ...whole(), phase: "end", outcome: "unavailable" });
        route = now;
        events.emit({ ...whole(), phase: "start" });
        options.chosen?.(now);
      };
      try {
        for await (const event of router.infer(request, { ...options, chosen })) {
          tokens += tokensOf(event);
          if (event.type === "end") outcome = "ok";
          yield event;
        }
      } catch (error) {
        outcome = options.signal.aborted ? "cancelled" : toArkError(error).code;
        throw error;
      } finally {
        const ms = performance.now() - began;
        const fields = { model, tokens, ms: Math.round(ms), ...peerOf(route) };
        if (route !== null) events.emit({ ...whole(), phase: "end", outcome, tokens, ms });
        if (outcome === "ok") logger.info("Answered a request", fields);
        else logger.info("A request was not answered", { ...fields, code: outcome });
      }
    },
  };
}

function peerOf(route: Route | null): { peer?: string } {
  return route === null || route.peer === null ? {} : { peer: route.peer };
}
