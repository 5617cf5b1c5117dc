import { ArkError, type InferenceEvent, type InferenceRequest, tokensOf } from "@ark/node/protocol";
import { sharesModel } from "@ark/node/peers";
import type { Answers } from "../api/answers.ts";
import type { HeldKey } from "./api_key_book.ts";

/** Who sends a request, and how far it may go. */
export interface Sender {
  /** The key that it carries, or null. */
  readonly held: HeldKey | null;
  /** Whether it must stay on this machine. */
  readonly localOnly: boolean;
}

/** What a sender gets of all answers: the models of its key, within the key's limits, and no further than it may go. */
export function keyedAnswers(answers: Answers, { held, localOnly }: Sender): Answers {
  if (held === null && !localOnly) return answers;
  const patterns = held?.key.models ?? ["*"];
  const permits = (model: string) => sharesModel(patterns, model);
  return {
    sender: { key: held?.key.id ?? null, localOnly },
    models: () => answers.models().filter(({ id, local }) => permits(id) && (local || !localOnly)),
    infer: (request, options) => {
      const narrowed = { ...options, localOnly: localOnly || options.localOnly === true, permits };
      if (held === null) return answers.infer(request, narrowed);
      return metered({ answers, held, request, options: { ...narrowed, key: held.key.name } });
    },
  };
}

const NO_TIMINGS = { queue_ms: 0, load_ms: 0, prompt_ms: 0, generation_ms: 0 };

interface Metered {
  answers: Answers;
  held: HeldKey;
  request: InferenceRequest;
  options: Parameters<Answers["infer"]>[1];
}

async function* metered({ answers, held, request, options }: Metered): AsyncGenerator<InferenceEvent> {
  using lease = held.meter.admit();
  const end = new AbortController();
  const abort = () => end.abort();
  for (const signal of [options.signal, lease.signal]) {
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  }
  try {
    // Every token is counted before it goes on, so none takes the short way.
    const { direct: _, ...counted } = options;
    const events = answers.infer(within(request, lease.tokensLeft), { ...counted, signal: end.signal });
    const usage = { prompt_tokens: 0, completion_tokens: 0 };
    for await (const event of events) {
      if (event.type === "start") usage.prompt_tokens = event.prompt_tokens;
      usage.completion_tokens += tokensOf(event);
      const tokens = event.type === "start" ? event.prompt_tokens : tokensOf(event);
      const enough = lease.spend(tokens);
      yield event;
      if (enough || event.type === "end") continue;
      // What is used up in the middle of an answer ends it as any other limit of tokens does.
      yield { type: "end", finish_reason: "length", usage, timings: NO_TIMINGS };
      return;
    }
  } catch (error) {
    if (!lease.signal.aborted) throw error;
    throw new ArkError("unauthenticated", "This API key was revoked, so the answer ends here", { cause: error });
  } finally {
    options.signal.removeEventListener("abort", abort);
  }
}

/** An engine is asked for no more than what is left of the day. */
function within(request: InferenceRequest, tokensLeft: number | null): InferenceRequest {
  if (tokensLeft === null) return request;
  const max_tokens = Math.min(request.parameters.max_tokens ?? Infinity, tokensLeft);
  return { ...request, parameters: { ...request.parameters, max_tokens } };
}
