import type { LocalModel } from "@ark/node/models";
import { ArkError, type InferenceRequest, type ModelRef, type Timings, type TokenIds } from "@ark/node/protocol";
import type { InferOptions } from "./backend.ts";
import { Continuation } from "./continuation.ts";
import type { EventStream } from "./event_stream.ts";
import type { EngineResult, ModelTask } from "./worker/engine.ts";

/** What stands in the line: a request on its way to its end, or the owner's wish to have a model in memory. */
export type Job = AnswerJob | LoadJob;

/** What all jobs have. */
interface JobBase {
  readonly model: LocalModel;
  /** The model's file in its state, and what it is loaded for. */
  readonly key: string;
  readonly task: ModelTask;
  readonly priority: "owner" | "peer";
  /** When it came, by the monotonic clock. */
  readonly since: number;
  /** How long the model shall stay afterwards; undefined leaves it as it is. */
  readonly keepAliveMs: number | null | undefined;
}

/** The owner's wish to have a model in memory. It takes no slot. */
export class LoadJob implements JobBase {
  readonly model: LocalModel;
  readonly key: string;
  readonly task: ModelTask;
  readonly priority = "owner";
  readonly since = performance.now();
  readonly keepAliveMs: number | null | undefined;
  /** Whether it came to its end. */
  over = false;
  readonly #done = Promise.withResolvers<void>();

  /** Makes a wish. */
  constructor({ model, task, keepAliveMs }: { model: LocalModel; task: ModelTask; keepAliveMs?: number | null }) {
    this.model = model;
    this.task = task;
    this.key = keyOf(model, task);
    this.keepAliveMs = keepAliveMs;
    // Whoever waits for it hears of a failure.
    this.#done.promise.catch(() => {});
  }

  /** Fulfilled when the model is in memory. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** The model is in memory. */
  succeed(): void {
    this.over = true;
    this.#done.resolve();
  }

  /** It will not be. */
  fail(error: ArkError): void {
    this.over = true;
    this.#done.reject(error);
  }
}

/** What an engine says of a prompt. */
export interface PromptStart {
  /** How many tokens it has. */
  promptTokens: number;
  /** Which they are, where that is wanted and they are not too many. */
  promptIds?: TokenIds;
}

/** One request on its way from the line to its end. */
export class AnswerJob implements JobBase {
  readonly model: LocalModel;
  readonly key: string;
  readonly task: ModelTask;
  readonly priority: "owner" | "peer";
  readonly principal: string;
  readonly since = performance.now();
  readonly keepAliveMs: number | null | undefined;
  /** How far the answer has come. */
  readonly progress: Continuation;
  /** Set when nobody wants the answer any more. */
  over = false;
  readonly #stream: EventStream;
  readonly #tellsPrompt: boolean;
  #began = 0;
  #timings: Pick<Timings, "queue_ms" | "load_ms"> = { queue_ms: 0, load_ms: 0 };

  /** Makes a job of a request. */
  constructor(
    request: InferenceRequest,
    { model, options, stream }: { model: LocalModel; options: InferOptions; stream: EventStream },
  ) {
    this.model = model;
    this.task = taskOf(request);
    this.key = keyOf(model, this.task);
    this.priority = options.priority;
    this.principal = options.principal;
    // Peers have no say in what stays in memory.
    this.keepAliveMs = options.priority === "owner" ? options.keepAliveMs : undefined;
    this.progress = new Continuation(request, { resumable: options.priority === "peer" });
    this.#tellsPrompt = request.ids === true;
    this.#stream = stream;
  }

  /** How long the engine has been at it, in milliseconds. */
  get ranMs(): number {
    return performance.now() - this.#began;
  }

  /** A slot is there. `loadedAt` is when the model was there, by the monotonic clock. */
  begin({ loadBegan, loadedAt }: { loadBegan: number; loadedAt: number }): void {
    this.#began = performance.now();
    const load_ms = Math.max(0, loadedAt - Math.max(this.since, loadBegan));
    const queue_ms = Math.max(0, this.#began - this.since - load_ms - this.progress.ranMs);
    this.#timings = { queue_ms, load_ms };
  }

  /** The engine knows the tokens of the prompt. */
  start({ promptTokens, promptIds }: PromptStart, digest: string | null): void {
    if (!this.progress.start(promptTokens, promptIds)) return;
    const ids = promptIds === undefined || !this.#tellsPrompt ? {} : { prompt_ids: promptIds };
    this.#stream.push({ type: "start", model: this.model.id, digest, prompt_tokens: promptTokens, ...ids });
  }

  /** A part of the answer. */
  part(part: Parameters<Continuation["add"]>[0]): void {
    this.#stream.push(this.progress.add(part));
  }

  /** The answer is complete; without a result it was when the engine left it. */
  end(result?: EngineResult): void {
    this.over = true;
    const { usage, prompt_ms, generation_ms } = this.progress.total(result);
    const stopped = result?.stop_text === undefined ? {} : { stop_text: result.stop_text };
    const timings = { ...this.#timings, prompt_ms, generation_ms };
    const finish_reason = result?.finish_reason ?? "length";
    this.#stream.push({ type: "end", finish_reason, ...stopped, usage, timings });
  }

  /** The answer ends otherwise. */
  fail(error: ArkError): void {
    this.over = true;
    this.#stream.fail(error);
  }
}

/** What a model must be loaded for to answer a request. */
export function taskOf({ input: { kind } }: Pick<InferenceRequest, "input">): ModelTask {
  return kind === "embed" || kind === "rerank" ? kind : "generate";
}

/** What a model is loaded for where no request says it: to write, unless it can only do something else. */
export function mainTask({ capabilities = [] }: LocalModel & { capabilities?: readonly string[] }): ModelTask {
  if (capabilities.includes("chat") || capabilities.includes("completion")) return "generate";
  return capabilities.includes("embed") ? "embed" : capabilities.includes("rerank") ? "rerank" : "generate";
}

/** A model file in the state in which it was read, and what it is for: a file that changed is another model. */
export function keyOf({ path, size, mtimeMs }: LocalModel, task: ModelTask): string {
  return `${path}|${size}|${mtimeMs}|${task}`;
}

/** There is no such model. */
export function modelNotFound(ref: ModelRef): ArkError {
  return new ArkError("model_not_found", `There is no model ${ref} on this node`);
}

/** Nobody wants it any more. */
export function cancelled(): ArkError {
  return new ArkError("cancelled", "The request was cancelled");
}
