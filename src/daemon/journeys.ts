import type { NodeId } from "@ark/node/identity";
import type { Backend } from "@ark/node/inference";
import { type ErrorCode, type InferenceEvent, type ModelRef, toArkError, tokensOf } from "@ark/node/protocol";
import {
  type AnsweredAt,
  answeredAt,
  engineSpans,
  type LedgerSender,
  RequestLedger,
  type Route,
  type RouteStep,
} from "@ark/node/routing";
import {
  EnergyHistory,
  type Events,
  History,
  type Metrics,
  parseTraceparent,
  type Span,
  type Tracer,
} from "@ark/node/telemetry";
import { RoutingMetrics } from "./routing_metrics.ts";
import { seenParts } from "./seen_parts.ts";

/** Where the journeys of requests are told. */
export interface JourneysOptions {
  /** Told of every change of the ledger. */
  events: Pick<Events, "emit">;
  /** Counts them. */
  metrics: Metrics;
  /** Traces them, where the owner wants that. */
  tracer?: Tracer | null;
}

/** Who asks for what. */
export interface JourneyStart {
  /** Id of the request. */
  id: string;
  /** Who sent it. */
  from: LedgerSender;
  /** Label of the key, or id of the peer. */
  sender?: string | null;
  /** The model as it was asked for. */
  model: ModelRef;
  /** The request, or what of it is done here. */
  span?: { name: string; parent?: ReturnType<typeof parseTraceparent> };
}

/** One request on its way. */
export interface Journey {
  /** The span that everything done for it is a part of, where requests are traced. */
  readonly trace: Span | undefined;
  /** Takes note of a step. */
  step(step: RouteStep): void;
  /** Takes note of who answers. */
  chosen(route: Pick<Route, "name" | "peer" | "upstream">): void;
  /** Takes note of an event of the answer, which came at a monotonic time, or now; text is not looked at. */
  event(event: InferenceEvent, at?: number): void;
  /** Takes note of the end. Only the first one counts. */
  end(outcome: "ok" | ErrorCode): void;
}

/** Tells the ledger, the metrics and the traces of every request, the owner's and those of peers. */
export class Journeys {
  /** The last requests. */
  readonly ledger: RequestLedger;
  /** The last hours in numbers. */
  readonly history: History = new History();
  /** What power the last hours took, as far as this machine tells. */
  readonly energy: EnergyHistory = new EnergyHistory();
  readonly #metrics: RoutingMetrics;
  readonly #tracer: Tracer | null;

  /** Begins with an empty ledger. */
  constructor({ events, metrics, tracer = null }: JourneysOptions) {
    this.ledger = new RequestLedger({
      changed: ({ seq, outcome, tokens, first_token_ms }) => {
        if (outcome !== null) this.history.note({ ok: outcome === "ok", tokens, firstTokenMs: first_token_ms });
        events.emit({ type: "journey", seq });
      },
    });
    this.#metrics = new RoutingMetrics(metrics);
    this.#tracer = tracer;
  }

  /** Begins the journey of a request. */
  begin({ id, from, sender = null, model, span }: JourneyStart): Journey {
    const metrics = this.#metrics;
    const entry = this.ledger.begin({ id, from, sender, model });
    // What peers ask is counted by the events of their requests, and does not mix with the owner's.
    const counted = from === "peer" ? null : metrics.begin();
    const trace = this.#tracer?.start(span?.name ?? "request", {
      kind: "server",
      parent: span?.parent ?? null,
      attributes: { "gen_ai.request.model": model, "ark.from": from, "ark.request": id },
    });
    const { energy } = this;
    let tokens = 0;
    let where: AnsweredAt | null = null;
    return {
      trace,
      step(step) {
        entry.step(step);
        counted?.step(step);
        if (step.type === "began" || step.type === "continued") where = answeredAt(step.key);
        if (step.type === "continued") trace?.set({ "ark.continued": true, "ark.gap_ms": step.gapMs });
      },
      chosen(route) {
        where = route.peer !== null ? "peer" : route.upstream ? "upstream" : "local";
        entry.answering({ name: route.name, where });
      },
      event(event, at) {
        entry.event(event, at);
        const more = tokensOf(event);
        tokens += more;
        counted?.tokens(more, at);
        if (where === "local") energy.tokens(more);
        if (event.type === "end" && where === "local") metrics.loaded(event.timings.load_ms);
      },
      end(outcome) {
        entry.end(outcome);
        counted?.end(outcome, where);
        trace?.set({ "gen_ai.usage.output_tokens": tokens });
        trace?.end(outcome);
      },
    };
  }

  /**
   * What answers one request of a peer, with its journey told. A place in a trace counts only where this node's owner has
   * requests traced, too; what is no `traceparent` is as if there were none.
   */
  serving(
    backend: Backend,
    { peer, request: id, traceparent }: { peer: NodeId; request: string; traceparent: string | null },
  ): Backend {
    return {
      name: backend.name,
      handles: (model) => backend.handles(model),
      worksHere: (model) => backend.worksHere?.(model) === true,
      infer: (request, options) => {
        const begin = () => {
          const span = { name: "serve", parent: parseTraceparent(traceparent) };
          const fresh = this.begin({ id, from: "peer", sender: peer, model: request.model, span });
          fresh.chosen({ name: backend.name, peer: null });
          fresh.step({ type: "asked", ...where, attempt: 0, ms: 0 });
          return fresh;
        };
        const came = performance.now();
        const where = { key: "local", name: backend.name };
        let [begun, written] = [false, 0];
        // Where nobody needs its span, it is told when the engine is at work already.
        let journey = this.#tracer === null ? null : begin();
        const current = () => journey ??= begin();
        const trace = journey?.trace;
        const see = (event: InferenceEvent) => {
          current().event(event);
          if (event.type === "start") return;
          if (!begun) current().step({ type: "began", ...where, ms: performance.now() - came });
          begun = true;
          written += tokensOf(event);
        };
        const asked = {
          ...options,
          ...trace === undefined ? {} : { trace },
          ...options.direct === undefined ? {} : { direct: seenParts(options.direct, see) },
        };
        return told(backend.infer(request, asked), {
          asked: () => void current(),
          event(event) {
            see(event);
            if (event.type !== "end") return;
            if (trace !== undefined) engineSpans(trace, event);
            current().end("ok");
          },
          failed(error) {
            const { code } = toArkError(error);
            if (options.signal.aborted) return current().end("cancelled");
            current().step({ type: "failed", ...where, code, tokens: written, ms: performance.now() - came });
            current().end(code);
          },
          left: () => current().end("cancelled"),
        });
      },
    };
  }
}

interface Listener {
  /** An event is on its way; also told of each after the first. */
  asked(): void;
  event(event: InferenceEvent): void;
  failed(error: unknown): void;
  left(): void;
}

/** Events as they are, with somebody who listens; by hand, since this stands in the way of every token. */
function told(events: AsyncIterable<InferenceEvent>, listener: Listener): AsyncIterable<InferenceEvent> {
  const iterator = events[Symbol.asyncIterator]();
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        try {
          const next = iterator.next();
          listener.asked();
          const result = await next;
          if (result.done) listener.left();
          else listener.event(result.value);
          return result;
        } catch (error) {
          listener.failed(error);
          throw error;
        }
      },
      async return() {
        listener.left();
        return await iterator.return?.() ?? { done: true, value: undefined };
      },
    }),
  };
}
