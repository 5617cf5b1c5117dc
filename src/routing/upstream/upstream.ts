import { setTimeout as pause } from "node:timers/promises";
import type { Backend, InferOptions } from "@ark/node/inference";
import { ArkError, type InferenceEvent, type InferenceRequest, type ModelRef, reasonOf } from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";
import { startWatchdog } from "../watchdog.ts";
import { textOf, UpstreamClient, type UpstreamResponse } from "./upstream_client.ts";
import { upstreamFailure } from "./upstream_failure.ts";
import { ollamaModels, openaiModels, type UpstreamModel } from "./upstream_models.ts";
import { upstreamCall } from "./upstream_request.ts";
import { UpstreamStream } from "./upstream_stream.ts";
import { scoresOf, vectorsOf } from "./upstream_whole.ts";

/** Options of {@linkcode Upstream}. */
export interface UpstreamOptions {
  /** Label for people. */
  name: string;
  /** Where its API is: with or without `/v1` at the end. */
  url: string;
  /** Sent as a bearer token, or null. */
  key: string | null;
  /** Says when it comes and goes. */
  logger: Pick<Logger, "info" | "warn">;
  /** Time between two looks at it, in milliseconds. @default {10000} */
  intervalMs?: number;
  /** How long it may take until its first byte, in milliseconds. @default {600000} */
  firstByteMs?: number;
  /** Longest silence of a running answer, in milliseconds. @default {60000} */
  silenceMs?: number;
}

/** How an upstream server is, for status. */
export interface UpstreamStatus {
  /** Label. */
  readonly name: string;
  /** Where it is; without its key. */
  readonly url: string;
  /** Whether it answered the last time. */
  readonly ready: boolean;
  /** Why it cannot be used, as one sentence, or null. */
  readonly reason: string | null;
  /** How many models it has. */
  readonly models: number;
}

/** How long a look at a server may take, in milliseconds. */
const PROBE_MS = 5_000;
/** Largest list of models that is read: 8 MiB. */
const LIST_BYTES = 8 << 20;
/** Most of an error that is read: 64 KiB. */
const ERROR_BYTES = 64 << 10;
/** Largest answer that comes in one piece: 256 MiB. */
const WHOLE_BYTES = 256 << 20;

/** A server that speaks OpenAI's API, or Ollama, as a backend: what it has, and its answers. */
export class Upstream implements Backend, Disposable {
  /** Label for people. */
  readonly name: string;
  /** Whether it is on this machine. */
  readonly local: boolean;
  readonly #options: Required<UpstreamOptions>;
  readonly #origin: string;
  readonly #client: UpstreamClient;
  #models: readonly UpstreamModel[] = [];
  #ready = false;
  #reason: string | null = "It has not been asked yet";
  #roundTripMs = Infinity;
  #running = 0;

  /** Makes a backend of a server that is not known yet: see {@linkcode run}. */
  constructor(options: UpstreamOptions) {
    this.#options = { intervalMs: 10_000, firstByteMs: 600_000, silenceMs: 60_000, ...options };
    this.name = options.name;
    const url = new URL(options.url);
    this.local = ["localhost", "[::1]"].includes(url.hostname) || /^127\./.test(url.hostname);
    this.#origin = url.href.replace(/\/+$/, "").replace(/\/v1$/, "");
    this.#client = new UpstreamClient({ origin: this.#origin, key: options.key });
  }

  /** How it is. */
  status(): UpstreamStatus {
    return {
      name: this.name,
      url: this.#origin,
      ready: this.#ready,
      reason: this.#reason,
      models: this.#models.length,
    };
  }

  /** Its models, while it answers. */
  models(): readonly UpstreamModel[] {
    return this.#ready ? this.#models : [];
  }

  /** Requests of ours that it is answering. */
  get inFlight(): number {
    return this.#running;
  }

  /** How long it took to answer the last look, in milliseconds; infinite while it does not answer. */
  get roundTripMs(): number {
    return this.#ready ? this.#roundTripMs : Infinity;
  }

  /** The model that a person means: by its id, upper and lower case the same; a bare name is its `:latest`. */
  find(ref: ModelRef): UpstreamModel | undefined {
    const wanted = ref.toLowerCase();
    const exact = this.models().find(({ id }) => id === ref);
    return exact ?? this.models().find(({ id }) => [wanted, `${wanted}:latest`].includes(id.toLowerCase()));
  }

  /** Whether it has a model now. */
  handles(model: ModelRef): boolean {
    return this.find(model) !== undefined;
  }

  /** Looks at the server now and then, until the signal is aborted; no connection to it is kept then. */
  async run(signal: AbortSignal): Promise<void> {
    using _client = this.#client;
    while (!signal.aborted) {
      await this.look(signal);
      await pause(this.#options.intervalMs, undefined, { signal }).catch(() => {});
    }
  }

  /** Asks the server for its models once; never throws. */
  async look(signal: AbortSignal): Promise<void> {
    const began = performance.now();
    const enough = new AbortController();
    using _watchdog = startWatchdog(() => enough.abort(), PROBE_MS);
    try {
      const models = await this.#list(AbortSignal.any([signal, enough.signal]));
      this.#roundTripMs = performance.now() - began;
      this.#know(models, null);
    } catch (error) {
      if (!signal.aborted) this.#know(null, error instanceof ArkError ? error.message : unreachable(this.name, error));
    }
  }

  /**
   * Asks the server. Its stream is passed on as it comes; leaving the loop or aborting the signal closes the connection,
   * which is how such servers are told to stop.
   *
   * @throws {ArkError} what the server said, `unavailable` where it cannot be reached, is silent or breaks off, and
   * `cancelled` when the signal is aborted.
   */
  async *infer(request: InferenceRequest, { signal, direct }: InferOptions): AsyncGenerator<InferenceEvent> {
    if (signal.aborted) throw cancelled(signal.reason);
    const model = this.find(request.model)?.id ?? request.model;
    const { path, body } = upstreamCall({ ...request, model });
    const { firstByteMs, silenceMs } = this.#options;
    const hungUp = new AbortController();
    const leave = () => hungUp.abort();
    signal.addEventListener("abort", leave, { once: true });
    using watchdog = startWatchdog(leave, firstByteMs);
    this.#running++;
    try {
      using response = await this.#client.send({ path: `/v1/${path}`, body, signal: hungUp.signal });
      if (response.status !== 200) throw await this.#refusal(response);
      const heard = () => watchdog.wake(silenceMs);
      heard();
      if (path === "embeddings" || path === "rerank") {
        const whole = JSON.parse(await textOf(response, WHOLE_BYTES));
        yield* (path === "rerank" ? scoresOf : vectorsOf)(whole, { name: this.name, model, count: countOf(request) });
      } else {
        const [rest, complete] = [() => watchdog.rest(), () => response.finish()];
        yield* new UpstreamStream({ name: this.name, model, heard, rest, direct, complete }).read(response);
      }
    } catch (error) {
      throw this.#lost(error, { signal, barked: watchdog.barked });
    } finally {
      this.#running--;
      // Whoever leaves early disposes of the response, which closes the connection.
      signal.removeEventListener("abort", leave);
    }
  }

  /** Closes the connections to it that carry no request now; none are kept any more. */
  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  async #list(signal: AbortSignal): Promise<UpstreamModel[]> {
    const listed = await this.#json("/v1/models", signal);
    const tags = await this.#json("/api/tags", signal).catch(() => null);
    // Ollama says more about its models in its own words, and has them all in both lists.
    const found = ollamaModels(tags) ?? openaiModels(listed);
    if (found !== null) return found;
    throw new ArkError("unavailable", `${this.name} does not speak OpenAI's API: GET /v1/models has no list`);
  }

  async #json(path: string, signal: AbortSignal): Promise<unknown> {
    using response = await this.#client.send({ path, signal });
    if (response.status !== 200) throw await this.#refusal(response);
    return JSON.parse(await textOf(response, LIST_BYTES));
  }

  async #refusal(response: UpstreamResponse): Promise<ArkError> {
    const { status, headers } = response;
    const text = await textOf(response, ERROR_BYTES).catch(() => "");
    return upstreamFailure(this.name, { status, text, retryAfter: headers.get("retry-after") });
  }

  #lost(error: unknown, { signal, barked }: { signal: AbortSignal; barked: boolean }): ArkError {
    if (signal.aborted) return cancelled(error);
    if (barked) return new ArkError("unavailable", `${this.name} fell silent`, { cause: error });
    if (error instanceof ArkError) return error;
    return new ArkError("unavailable", unreachable(this.name, error), { cause: error });
  }

  #know(models: UpstreamModel[] | null, reason: string | null): void {
    const { logger } = this.#options;
    const ready = models !== null;
    if (ready && !this.#ready) logger.info("An upstream server answers", { name: this.name, count: models.length });
    if (!ready && (this.#ready || this.#reason !== reason)) {
      logger.warn("An upstream server cannot be used", { name: this.name, reason: reason ?? "" });
    }
    if (!ready) this.#client.closeIdle();
    this.#ready = ready;
    this.#reason = reason;
    this.#models = models ?? this.#models;
  }
}

/** How many texts or documents a request has. */
function countOf({ input }: InferenceRequest): number {
  return input.kind === "embed" ? input.texts.length : input.kind === "rerank" ? input.documents.length : 0;
}

function unreachable(name: string, error: unknown): string {
  return `${name} cannot be reached: ${reasonOf(error).split("\n")[0]?.slice(0, 200)}`;
}

function cancelled(cause: unknown): ArkError {
  return new ArkError("cancelled", "The request was cancelled", { cause });
}
