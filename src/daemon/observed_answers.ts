import { type Answers, type AskOptions, requestId } from "@ark/node/http";
import { type ErrorCode, type InferenceEvent, type InferenceRequest, toArkError, tokensOf } from "@ark/node/protocol";
import type { Route, RouteOptions, Router } from "@ark/node/routing";
import type { Events, Logger } from "@ark/node/telemetry";
import type { Journeys } from "./journeys.ts";
import { seenParts } from "./seen_parts.ts";

/** Where requests are told. */
export interface ObservedAnswersOptions {
  /** Told of when they begin and end. */
  events: Pick<Events, "emit">;
  /** Told of everything that happens to them between. */
  journeys: Journeys;
  /** The node's log. */
  logger: Logger;
}

/** A router whose requests are told of when they begin and end. */
export function observedAnswers(
  router: Pick<Router, "infer" | "models">,
  { events, journeys, logger }: ObservedAnswersOptions,
): Answers {
  return {
    models: () => router.models(),
    async *infer(request: InferenceRequest, options: AskOptions & RouteOptions): AsyncGenerator<InferenceEvent> {
      const { request: id = requestId(), key, ...asked } = options;
      const began = performance.now();
      let route: Route | null = null;
      let tokens = 0;
      let outcome: "ok" | ErrorCode = "cancelled";
      const { model } = request;
      const shown = crypto.randomUUID();
      const sender = key === undefined ? { from: "owner" as const } : { from: "key" as const, sender: key };
      const journey = journeys.begin({ id, ...sender, model });
      const { trace } = journey;
      const whole = () => {
        const direction = route === null || route.peer === null ? "own" as const : "out" as const;
        return { type: "request" as const, request: shown, direction, peer: route?.peer ?? null, model };
      };
      const chosen = (now: Route) => {
        // After a first candidate has failed, the request goes on under the next one's name.
        if (route !== null) events.emit({ ...whole(), phase: "end", outcome: "unavailable" });
        route = now;
        events.emit({ ...whole(), phase: "start" });
        journey.chosen(now);
        options.chosen?.(now);
      };
      const see = (event: InferenceEvent, at?: number) => {
        tokens += tokensOf(event);
        journey.event(event, at);
      };
      const told = {
        ...asked,
        chosen,
        step: journey.step,
        ...trace === undefined ? {} : { trace },
        ...options.direct === undefined ? {} : { direct: seenParts(options.direct, see) },
      };
      try {
        for await (const event of router.infer(request, told)) {
          see(event);
          if (event.type === "end") outcome = "ok";
          yield event;
        }
      } catch (error) {
        outcome = options.signal.aborted ? "cancelled" : toArkError(error).code;
        throw error;
      } finally {
        const ms = performance.now() - began;
        journey.end(outcome);
        const fields = { request: id, model, tokens, ms: Math.round(ms), ...peerOf(route) };
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
