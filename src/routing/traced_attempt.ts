import type { Backend, InferOptions } from "@ark/node/inference";
import { type InferenceEvent, type InferenceRequest, toArkError, tokensOf } from "@ark/node/protocol";
import type { Span } from "@ark/node/telemetry";
import type { AnsweredAt } from "./request_ledger.ts";

/** Which candidate is asked. */
export interface Attempt {
  /** Its name. */
  readonly name: string;
  /** Where it is. */
  readonly where: AnsweredAt;
  /** How many were asked before. */
  readonly attempt: number;
}

/** Asks a backend. Where the request is traced, that is a span of its own, which a peer's spans belong to. */
export function tracedAttempt(
  backend: Backend,
  { request, options, attempt }: { request: InferenceRequest; options: InferOptions; attempt: Attempt },
): AsyncIterable<InferenceEvent> {
  const { trace } = options;
  if (trace === undefined) return backend.infer(request, options);
  return traced(backend, { request, options, attempt, trace });
}

async function* traced(
  backend: Backend,
  { request, options, attempt, trace }: {
    request: InferenceRequest;
    options: InferOptions;
    attempt: Attempt;
    trace: Span;
  },
): AsyncGenerator<InferenceEvent> {
  const { name, where } = attempt;
  const span = trace.child(`attempt ${where}`, {
    kind: where === "local" ? "internal" : "client",
    attributes: { "ark.node": name, "ark.where": where, "ark.attempt": attempt.attempt },
  });
  let tokens = 0;
  let outcome = "cancelled";
  try {
    for await (const event of backend.infer(request, { ...options, trace: span })) {
      tokens += tokensOf(event);
      if (event.type === "end") {
        outcome = "ok";
        if (where === "local") engineSpans(span, event);
      }
      yield event;
    }
  } catch (error) {
    outcome = options.signal.aborted ? "cancelled" : toArkError(error).code;
    throw error;
  } finally {
    span.set({ "gen_ai.usage.output_tokens": tokens });
    span.end(outcome);
  }
}

/** What an engine took for an answer that ends now, as parts of a span: queue, load, prompt, generation. */
export function engineSpans(span: Span, { timings, usage }: Extract<InferenceEvent, { type: "end" }>): void {
  const parts = [
    ["generation", timings.generation_ms],
    ["prompt", timings.prompt_ms],
    ["load", timings.load_ms],
    ["queue", timings.queue_ms],
  ] as const;
  let to = 0;
  for (const [name, ms] of parts) {
    // A model that was in memory was not loaded: that it took no time is no part.
    if (ms > 0) span.past(name, { from: to + ms, to });
    to += ms;
  }
  span.set({
    "gen_ai.usage.input_tokens": usage.prompt_tokens,
    "gen_ai.usage.output_tokens": usage.completion_tokens,
  });
}
