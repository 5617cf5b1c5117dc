import type { InferenceEvent, InferenceRequest } from "@ark/node/protocol";
import type { Answers, ApiModel } from "../../../src/http/api/answers.ts";
import type { ApiOptions } from "../../../src/http/api/api_routes.ts";
import { openaiRoutes } from "../../../src/http/openai/openai_routes.ts";

/** What a scripted answer can do beside giving events. */
export interface Scene {
  /** Aborts when the answer is not wanted any more. */
  signal: AbortSignal;
  /** Says who answers. */
  choose(name: string, peer: string | null, reason?: string): void;
  /** What was asked. */
  request: InferenceRequest;
}

export type Script = (scene: Scene) => AsyncIterable<InferenceEvent>;

const SOME_MODEL: ApiModel = {
  id: "",
  owner: "kitchen",
  local: true,
  loaded: false,
  digest: null,
  size: 5_000_000,
  context_length: 1_024,
  parameters: "9m",
  quantization: "q4_0",
};

/** Answers by a script, and remembers what it was asked. No engine. */
export class ScriptedAnswers implements Answers {
  readonly asked: { request: InferenceRequest; options: Parameters<Answers["infer"]>[1] }[] = [];
  readonly #script: Script;
  readonly #models: readonly ApiModel[];
  readonly #left = Promise.withResolvers<AbortSignal>();

  constructor(script: Script, models: readonly (Partial<ApiModel> & Pick<ApiModel, "id">)[] = []) {
    this.#script = script;
    this.#models = models.map((model) => ({ ...SOME_MODEL, ...model }));
  }

  /** Resolves with its signal once an answer has ended, however. */
  get left(): Promise<AbortSignal> {
    return this.#left.promise;
  }

  async *infer(request: InferenceRequest, options: Parameters<Answers["infer"]>[1]): AsyncGenerator<InferenceEvent> {
    this.asked.push({ request, options });
    const { signal } = options;
    const choose = (name: string, peer: string | null, reason?: string) =>
      options.chosen?.({ name, peer, attempt: 0, ...reason === undefined ? {} : { reason } });
    try {
      yield* this.#script({ signal, choose, request });
    } finally {
      this.#left.resolve(signal);
    }
  }

  models(): readonly ApiModel[] {
    return this.#models;
  }
}

export const MODEL = "arkling:9m-q4_0";

export const START: InferenceEvent = { type: "start", model: MODEL, digest: null, prompt_tokens: 7 };

export const END: InferenceEvent = {
  type: "end",
  finish_reason: "stop",
  usage: { prompt_tokens: 7, completion_tokens: 2 },
  timings: { queue_ms: 0, load_ms: 0, prompt_ms: 1, generation_ms: 2 },
};

/** A whole answer of these texts, by this node. */
export function telling(...texts: string[]): Script {
  return async function* ({ choose }) {
    await Promise.resolve();
    choose("kitchen", null);
    yield START;
    for (const text of texts) yield { type: "text", text, tokens: 1 };
    yield END;
  };
}

/** These events, then an error, or an end of the iteration where there is none. */
export function failing(error: unknown, events: InferenceEvent[] = []): Script {
  return async function* () {
    await Promise.resolve();
    yield* events;
    if (error !== undefined) throw error;
  };
}

/** Sends a request to the routes over a script; no port. */
export function ask(
  answers: Answers,
  { path = "/v1/chat/completions", body, options, ...init }: Omit<RequestInit, "body"> & {
    path?: string;
    body?: unknown;
    options?: Omit<ApiOptions, "answers">;
  },
): Promise<Response> {
  const app = openaiRoutes({ answers, ...options });
  const made = body === undefined ? init : {
    method: "POST",
    headers: { "content-type": "application/json" },
    ...init,
    body: typeof body === "string" || body instanceof ReadableStream ? body : JSON.stringify(body),
  };
  return Promise.resolve(app.request(path, made));
}

/** A chat with one message. */
export function chat(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return { model: MODEL, messages: [{ role: "user", content: "Hello" }], ...fields };
}

/** The data of a stream's events, in order; comments are left out. */
export async function eventsOf(response: Response): Promise<string[]> {
  const blocks = (await response.text()).split("\n\n");
  if (blocks.pop() !== "") throw new Error("The stream does not end with a blank line");
  return blocks.filter((block) => !block.startsWith(":")).map((block) => {
    const data = /^data: (.*)$/.exec(block)?.[1];
    if (data === undefined) throw new Error(`No event: ${block}`);
    return data;
  });
}
