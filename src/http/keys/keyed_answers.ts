import type { PartSink } from "@ark/node/inference";
import { type AnswerPart, ArkError, type InferenceEvent, type InferenceRequest, tokensOf } from "@ark/node/protocol";
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
  const usage = { prompt_tokens: 0, completion_tokens: 0 };
  // What is used up in the middle of an answer ends it as any other limit of tokens does.
  const full = { type: "end", finish_reason: "length", usage, timings: NO_TIMINGS } as const;
  let enough = true;
  /** Notes what an event costs; false where it is the last one that may be given. */
  const spend = (event: InferenceEvent): boolean => {
    if (event.type === "start") usage.prompt_tokens = event.prompt_tokens;
    usage.completion_tokens += tokensOf(event);
    return enough = lease.spend(event.type === "start" ? event.prompt_tokens : tokensOf(event));
  };
  try {
    const { direct, ...others } = options;
    const short = direct === undefined ? {} : { direct: paid(direct, { spend, over: abort }) };
    const events = answers.infer(within(request, lease.tokensLeft), { ...others, ...short, signal: end.signal });
    for await (const event of events) {
      // Nothing comes after what was the last on the short way.
      if (!enough) return yield full;
      spend(event);
      yield event;
      if (enough || event.type === "end") continue;
      return yield full;
    }
  } catch (error) {
    if (!enough && !options.signal.aborted && !lease.signal.aborted) return yield full;
    if (!lease.signal.aborted) throw error;
    throw new ArkError("unauthenticated", "This API key was revoked, so the answer ends here", { cause: error });
  } finally {
    options.signal.removeEventListener("abort", abort);
  }
}

/** The short way of an answer whose tokens are paid for, each before it goes on; `over` is called behind the last one. */
function paid(
  direct: PartSink,
  { spend, over }: { spend: (part: AnswerPart) => boolean; over: () => void },
): PartSink {
  let open = true;
  return {
    get open() {
      return direct.open;
    },
    take(parts) {
      if (!open) return null;
      const last = parts.findIndex((part) => !spend(part));
      if (last < 0) return direct.take(parts);
      open = false;
      const full = direct.take(parts.slice(0, last + 1));
      over();
      return full;
    },
  };
}

/** An engine is asked for no more than what is left of the day. */
function within(request: InferenceRequest, tokensLeft: number | null): InferenceRequest {
  if (tokensLeft === null) return request;
  const max_tokens = Math.min(request.parameters.max_tokens ?? Infinity, tokensLeft);
  return { ...request, parameters: { ...request.parameters, max_tokens } };
}
