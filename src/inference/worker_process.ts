import { ArkError } from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";
import type { EngineLoad, EngineModel, EngineRequest } from "./worker/engine.ts";
import { encodeFrame, FrameReader } from "./worker/frames.ts";
import { decodeWorkerMessage, type NodeMessage, WORKER_PROTOCOL, type WorkerMessage } from "./worker/messages.ts";
import { type AnswerListener, WorkerRequests } from "./worker_requests.ts";
import { WORKER_TIMES, type WorkerTimes } from "./worker_times.ts";

/** Where a {@linkcode WorkerProcess} is in its life; see there. */
export type WorkerState = "stopped" | "starting" | "loading" | "ready" | "stopping" | "failed";

/** How a worker is started. */
export interface WorkerStart {
  /** The program and its arguments. */
  command: readonly string[];
  /** The model. */
  load: EngineLoad;
}

/** Options of {@linkcode WorkerProcess}. */
export interface WorkerProcessOptions {
  /** Says how to start it, once that is known. */
  prepare(): Promise<WorkerStart>;
  /** The whole environment of the process. */
  environment: Readonly<Record<string, string>>;
  /** Hears what the process writes to its standard error, at level debug. */
  logger?: Pick<Logger, "debug"> | undefined;
  /** Hears how much of the model is in memory, from 0 to 1: at most once for each hundredth. */
  progress?: (fraction: number) => void;
  /** Times in milliseconds. */
  times?: Partial<WorkerTimes>;
}

/** Longest line of the process that goes to the log, in characters. */
const LOG_LINE_LENGTH = 400;

/**
 * One worker process, for one life: it has one model, answers as many requests at once as it said to have slots, and is
 * not started again. One of which nothing is heard for too long while it is at a request is taken for hung, and ended.
 *
 * | state | means | leaves to |
 * |---|---|---|
 * | `stopped` | not run yet, or ended because it was told to | `starting` when `run()` is called |
 * | `starting` | the process is there and has not spoken | `loading` at `hello` |
 * | `loading` | it loads the model | `ready` at `loaded`; `failed` at `failed` |
 * | `ready` | it answers, or waits for a request | |
 * | `stopping` | `run()`'s signal was aborted: its input is closed | `stopped` when it is gone |
 * | `failed` | it ended by itself, broke the protocol, took too long or hung | |
 *
 * From `starting`, `loading` and `ready` it goes to `stopping` when the signal is aborted, and to `failed` when the
 * process ends, says what is not part of the protocol or is late.
 */
export class WorkerProcess {
  readonly #options: WorkerProcessOptions;
  readonly #times: WorkerTimes;
  readonly #ready = Promise.withResolvers<EngineModel>();
  #state: WorkerState = "stopped";
  #child: Deno.ChildProcess | undefined;
  #input: WritableStreamDefaultWriter<Uint8Array> | undefined;
  readonly #requests: WorkerRequests;
  #slots = 0;
  #progress = 0;
  #barrier: readonly string[] = [];
  #failure: ArkError | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Makes a worker that is not run yet. */
  constructor(options: WorkerProcessOptions) {
    this.#options = options;
    this.#times = { ...WORKER_TIMES, ...options.times };
    this.#requests = new WorkerRequests(this.#times, (error) => this.#fail(error));
    // Whoever waits for it hears of a failure; where nobody does, `run()` tells it.
    this.#ready.promise.catch(() => {});
  }

  /** Where it is in its life. */
  get state(): WorkerState {
    return this.#state;
  }

  /** Process id, or 0 while there is none. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /**
   * What the system shuts the process in with, beside Deno's permissions: `network`, `data` and `readonly` where it has
   * no network, no data directory and no place to write. As it said before it had a model.
   */
  get barrier(): readonly string[] {
    return this.#barrier;
  }

  /** Fulfilled when the model is in memory, rejected with an ArkError when it will not be. */
  get ready(): Promise<EngineModel> {
    return this.#ready.promise;
  }

  /**
   * Runs the process until the signal is aborted.
   *
   * @throws {ArkError} `engine_failed` when it ends in another way, with one sentence.
   */
  async run(signal: AbortSignal): Promise<void> {
    const stop = () => void this.#stop();
    try {
      this.#state = "starting";
      const start = await this.#prepared(signal);
      if (start === null) this.#state = "stopping";
      else {
        const child = this.#start(start.command);
        signal.addEventListener("abort", stop);
        if (signal.aborted) stop();
        this.#send({ type: "load", ...start.load });
        await this.#hear(child);
        await this.#end(child);
      }
    } catch (error) {
      this.#fail(error instanceof ArkError ? error : broken("The engine's process could not be run", error));
    } finally {
      signal.removeEventListener("abort", stop);
      clearTimeout(this.#timer);
    }
    this.#state = this.#state === "stopping" ? "stopped" : "failed";
    const error = this.#failure ??
      new ArkError("cancelled", "The engine was stopped because the node needs its memory, or ends");
    this.#ready.reject(error);
    this.#requests.failAll(error);
    if (this.#state === "failed") throw error;
  }

  /** Begins a request, and returns its number. Only in the state `ready` and while a slot is free. */
  answer(request: EngineRequest, listener: AnswerListener): number {
    if (this.#state !== "ready" || this.#requests.size >= this.#slots) {
      throw new TypeError("The worker cannot take a request");
    }
    const id = this.#requests.add(request, listener);
    this.#send({ type: "generate", id, ...request });
    return id;
  }

  /** Ends a request that runs. Its listener hears of it; where it takes too long, the process is ended. */
  cancel(id: number): void {
    if (this.#state === "ready" && this.#requests.cancel(id)) this.#send({ type: "cancel", id });
  }

  /** Waits for what it takes to start, or for the order to stop: then null. */
  async #prepared(signal: AbortSignal): Promise<WorkerStart | null> {
    const aborted = Promise.withResolvers<null>();
    const abort = () => aborted.resolve(null);
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
    try {
      return await Promise.race([aborted.promise, this.#options.prepare()]);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  #start([program = "", ...args]: readonly string[]): Deno.ChildProcess {
    const child = new Deno.Command(program, {
      args,
      clearEnv: true,
      env: { ...this.#options.environment },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#child = child;
    this.#input = child.stdin.getWriter();
    // A broken pipe is no news: the end of the process is noticed by its output.
    this.#input.closed.catch(() => {});
    this.#within(this.#times.hello, "The engine's process did not answer");
    return child;
  }

  /**
   * Reads all that the process says, until it is gone: a program that it started, to look for a GPU say, may have its output
   * open for ever.
   */
  async #hear(child: Deno.ChildProcess): Promise<void> {
    const [output, errors] = [child.stdout.getReader(), child.stderr.getReader()];
    const leave = () => {
      for (const reader of [output, errors]) reader.cancel().catch(() => {});
    };
    let heard = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const gone = () => {
      if (!heard) timer = setTimeout(leave, this.#times.lastWords);
    };
    child.status.then(gone, gone);
    await Promise.all([this.#read(output), this.#log(errors)]);
    heard = true;
    clearTimeout(timer);
  }

  async #read(output: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    const reader = new FrameReader();
    try {
      for (let next = await output.read(); !next.done; next = await output.read()) {
        for (const message of reader.push(next.value)) this.#handle(decodeWorkerMessage(message));
      }
    } catch (error) {
      this.#fail(
        error instanceof ArkError ? error : broken("The engine's process said what is not part of its protocol", error),
      );
      await output.cancel().catch(() => {});
    }
  }

  #handle(message: WorkerMessage): void {
    if (this.#state === "stopping" || this.#failure !== undefined) return;
    const expected = `${this.#state} ${message.type}`;
    switch (message.type) {
      case "hello":
        if (expected !== "starting hello" || message.protocol !== WORKER_PROTOCOL) throw unexpected();
        this.#barrier = message.barrier;
        this.#state = "loading";
        return this.#within(this.#times.load, "The engine took too long to load the model");
      case "progress":
        if (expected !== "loading progress") throw unexpected();
        return this.#loadedSoFar(message.fraction);
      case "loaded":
        if (expected !== "loading loaded") throw unexpected();
        this.#state = "ready";
        this.#slots = message.slots;
        clearTimeout(this.#timer);
        return this.#ready.resolve(message);
      case "failed":
        throw new ArkError("engine_failed", `The engine cannot load the model: ${withoutEnd(message.message)}`);
      case "start": {
        const { id, prompt_tokens: promptTokens, prompt_ids: promptIds } = message;
        return this.#requests.start(id, promptIds === undefined ? { promptTokens } : { promptTokens, promptIds });
      }
      case "part":
        return this.#requests.part(message.id, message.part);
      case "end":
        return this.#requests.end(message.id, message);
      case "error":
        return this.#requests.error(message.id, message);
    }
  }

  #loadedSoFar(fraction: number): void {
    if (fraction < this.#progress + 0.01) return;
    this.#progress = fraction;
    this.#within(this.#times.load, "The engine stopped while it loaded the model");
    this.#options.progress?.(fraction);
  }

  /** Lines of the process's standard error: what llama.cpp and Deno say. The worker itself never logs text of a prompt. */
  async #log(errors: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let line = "";
    for (let next = await errors.read(); !next.done; next = await errors.read()) {
      const lines = (line + decoder.decode(next.value, { stream: true })).split("\n");
      line = (lines.pop() ?? "").slice(0, LOG_LINE_LENGTH);
      for (const each of lines) this.#logLine(each);
    }
    this.#logLine(line);
  }

  #logLine(line: string): void {
    const text = line.trim().slice(0, LOG_LINE_LENGTH);
    if (text !== "") this.#options.logger?.debug("The engine says", { reason: text, pid: this.pid });
  }

  async #end(child: Deno.ChildProcess): Promise<void> {
    const { code, signal } = await child.status;
    await this.#input?.abort().catch(() => {});
    if (this.#state === "stopping" || this.#failure !== undefined) return;
    const how = signal === null ? `exit status ${code}` : `signal ${signal}`;
    this.#fail(new ArkError("engine_failed", `The engine's process ended unexpectedly (${how}); ask again`));
  }

  async #stop(): Promise<void> {
    if (this.#state === "stopped" || this.#state === "failed" || this.#failure !== undefined) return;
    this.#state = "stopping";
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#kill(), this.#times.exit);
    await this.#input?.close().catch(() => {});
  }

  #fail(error: ArkError): void {
    this.#failure ??= error;
    if (this.#state !== "stopping") this.#state = "failed";
    this.#kill();
  }

  #within(ms: number, otherwise: string): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fail(new ArkError("engine_failed", otherwise)), ms);
  }

  #kill(): void {
    try {
      this.#child?.kill("SIGKILL");
    } catch {
      // It is gone already.
    }
  }

  #send(message: NodeMessage): void {
    this.#input?.write(encodeFrame(message)).catch(() => {});
  }
}

function broken(sentence: string, cause: unknown): ArkError {
  return new ArkError("engine_failed", sentence, { cause });
}

function unexpected(): ArkError {
  return new ArkError("engine_failed", "The engine's process said what it may not say now");
}

function withoutEnd(sentence: string): string {
  return sentence.replace(/[.!\s]+$/, "");
}
