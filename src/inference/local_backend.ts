import { createHmac, randomBytes } from "node:crypto";
import type { LocalModel } from "@ark/node/models";
import {
  ArkError,
  type InferenceEvent,
  type InferenceRequest,
  type ModelRef,
  type Timings,
  type Usage,
} from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";
import type { Backend, InferOptions } from "./backend.ts";
import { Continuation } from "./continuation.ts";
import { EventStream } from "./event_stream.ts";
import { nextStep } from "./schedule.ts";
import { type ProbedEngine, probeEngine } from "./engine_probe.ts";
import { WaitingLine } from "./waiting_line.ts";
import { ownEnvironment, workerEnvironment } from "./worker_environment.ts";
import { type AnswerListener, WorkerProcess, type WorkerStart, type WorkerTimes } from "./worker_process.ts";
import type { GpuChoice } from "./worker/messages.ts";
import type { WorkerProgram } from "./worker_program.ts";

/** Options of {@linkcode LocalBackend}. */
export interface LocalBackendOptions {
  /** Finds models by what people call them, and looks at one again before it is loaded. */
  catalogue: { find(ref: ModelRef): LocalModel | undefined; check?(model: LocalModel): Promise<void> };
  /** The program and its arguments that end up in `runWorker()`, or how to start it with as little as it needs. */
  workerCommand: readonly string[] | WorkerProgram;
  /** Added to the worker's environment, which is otherwise a few variables of the node's own. */
  workerEnvironment?: Readonly<Record<string, string>>;
  /** Name for people and logs. @default {"local"} */
  name?: string;
  /** Threads of each worker; without it they fit model and machine. */
  threads?: number;
  /** Compute layer. @default {"auto"} */
  gpu?: GpuChoice;
  /** Memory of the GPU that stays free, in bytes; without it the engine keeps a margin of its own. */
  vramReserve?: number;
  /** Most tokens of context. @default {8192} */
  contextSize?: number;
  /** Most models in memory at once. @default {2} */
  maxLoaded?: number;
  /** Most requests that wait. @default {64} */
  maxQueued?: number;
  /** How long workers may take. */
  workerTimes?: Partial<WorkerTimes>;
  /** Hears of models that come, go and fail. */
  logger?: Pick<Logger, "debug" | "info" | "warn">;
}

/** A model in memory, for status and offers. */
export interface LoadedModel {
  /** `name:tag`. */
  id: string;
  /** Process id of its worker. */
  pid: number;
  /** When it was in memory, in milliseconds since 1970. */
  since: number;
  /** Tokens of context that a request may use. */
  contextSize: number;
  /** Compute layer such as `cuda`, or null for the CPU. */
  gpu: string | null;
  /** What the system keeps from the worker beside Deno's permissions: any of `network`, `data` and `readonly`. */
  barrier: readonly string[];
  /** Whether it answers a request now. */
  busy: boolean;
}

/** One request on its way from the line to its end. */
interface Job {
  readonly model: LocalModel;
  readonly key: string;
  readonly request: InferenceRequest;
  readonly priority: "owner" | "peer";
  readonly principal: string;
  readonly stream: EventStream;
  readonly since: number;
  readonly progress: Continuation;
  loadMs: number;
  /** Set when nobody wants the answer any more. */
  over: boolean;
}

/** A model in memory or on its way in or out. */
interface Resident {
  readonly key: string;
  readonly model: LocalModel;
  readonly worker: WorkerProcess;
  readonly stop: AbortController;
  phase: "loading" | "ready" | "leaving";
  busy: boolean;
  lastUsed: number;
  job: Job | null;
  /** Whether its job was told to make room for the owner's. */
  yielding: boolean;
  loaded: Omit<LoadedModel, "busy"> | null;
  done: Promise<void>;
}

/** How often a model failed in a row, and when it may be tried again by the monotonic clock. */
interface Failure {
  count: number;
  retryAt: number;
  error: ArkError;
}

const LONGEST_BACKOFF_MS = 60_000;

/**
 * The models of this node, each in a worker process of its own that is started by the first request and stays. One
 * request runs per model; the others wait in a line, the owner's before those of peers. Where the owner would have to wait
 * for a peer's answer, that is set aside, and goes on from where it was when no request of the owner waits any more.
 */
export class LocalBackend implements Backend, AsyncDisposable {
  /** Name for people and logs. */
  readonly name: string;
  readonly #options: LocalBackendOptions;
  readonly #maxLoaded: number;
  readonly #line: WaitingLine<Job>;
  readonly #residents = new Set<Resident>();
  readonly #failures = new Map<string, Failure>();
  #averageMs = 1_000;
  #uses = 0;
  #disposed = false;
  readonly #ending = new AbortController();
  readonly #secret = randomBytes(32);
  #probed: Promise<ProbedEngine> | undefined;

  /** Makes a backend without any model in memory. */
  constructor(options: LocalBackendOptions) {
    const { name = "local", maxLoaded = 2, maxQueued = 64, workerCommand } = options;
    if (Array.isArray(workerCommand) && workerCommand.length === 0) {
      throw new TypeError("workerCommand must name a program");
    }
    if (maxLoaded < 1 || maxQueued < 1) throw new RangeError("maxLoaded and maxQueued must be at least 1");
    this.name = name;
    this.#options = options;
    this.#maxLoaded = maxLoaded;
    this.#line = new WaitingLine(maxQueued);
  }

  /** Looks which engine works here before the first request wants it, where that takes a process of its own. */
  warmUp(): void {
    const { workerCommand } = this.#options;
    if ("probe" in workerCommand) this.#probe(workerCommand).catch(() => {});
  }

  /** Requests that run now. */
  get busy(): number {
    return this.#residents.values().filter(({ busy }) => busy).toArray().length;
  }

  /** Requests that wait now. */
  get queued(): number {
    return this.#line.length;
  }

  /** The models in memory. */
  loaded(): LoadedModel[] {
    return [...this.#residents].flatMap(({ loaded, busy, phase }) =>
      loaded === null || phase !== "ready" ? [] : [{ ...loaded, busy }]
    );
  }

  /** Why a model of this node cannot run at the moment, as its engine's own sentence, or null. */
  failure(ref: ModelRef): string | null {
    const model = this.#options.catalogue.find(ref);
    const failure = model === undefined ? undefined : this.#failures.get(keyOf(model));
    return failure !== undefined && failure.retryAt > performance.now() ? failure.error.message : null;
  }

  /** Whether there is such a model file. */
  handles(model: ModelRef): boolean {
    return this.#options.catalogue.find(model) !== undefined;
  }

  /**
   * Answers a request with a model of this node, loading it first where needed.
   *
   * @throws {ArkError} from the iteration: `model_not_found`, `busy` when too many wait, `engine_failed`,
   * `context_exceeded`, `bad_request`, `cancelled`.
   */
  infer(request: InferenceRequest, options: InferOptions): AsyncIterable<InferenceEvent> {
    let job: Job | undefined;
    const abort = () => {
      if (job !== undefined) this.#leave(job);
    };
    const stream = new EventStream({
      begin: () => {
        options.signal.addEventListener("abort", abort);
        job = this.#enter(request, options, stream);
      },
      leave: abort,
      over: () => options.signal.removeEventListener("abort", abort),
    });
    return stream;
  }

  /** Ends all requests and all workers. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    const error = new ArkError("cancelled", "The node is stopping");
    for (const job of this.#line.list()) this.#drop(job, error);
    for (const { job } of this.#residents) if (job !== null) this.#drop(job, error);
    this.#ending.abort();
    for (const { stop } of this.#residents) stop.abort();
    await Promise.all([...this.#residents].map(({ done }) => done));
    await this.#probed?.catch(() => {});
  }

  #enter(
    request: InferenceRequest,
    { priority, principal, signal }: InferOptions,
    stream: EventStream,
  ): Job | undefined {
    const refuse = (error: ArkError) => void stream.fail(error);
    if (this.#disposed) return refuse(new ArkError("unavailable", "The node is stopping"));
    if (signal.aborted) return refuse(cancelled());
    const model = this.#options.catalogue.find(request.model);
    if (model === undefined) {
      return refuse(new ArkError("model_not_found", `There is no model ${request.model} on this node`));
    }
    const since = performance.now();
    const progress = new Continuation(request);
    const key = keyOf(model);
    const job = { model, key, request, priority, principal, stream, since, progress, loadMs: 0, over: false };
    const displaced = this.#line.add(job);
    if (displaced !== undefined) this.#drop(displaced, this.#full());
    this.#schedule();
    if (priority === "owner") this.#makeRoom(job);
    return job;
  }

  /** Has a peer's answer set aside where the owner's request would have to wait for it. */
  #makeRoom(job: Job): void {
    if (job.over || !this.#line.list().includes(job)) return;
    const all = [...this.#residents];
    const same = all.find(({ key, phase }) => key === job.key && phase !== "leaving");
    const room = all.length < this.#maxLoaded || all.some(({ busy, phase }) => !busy || phase === "leaving");
    const inTheWay = same ?? (room ? undefined : all.find(isPeers));
    if (inTheWay === undefined || !isPeers(inTheWay) || inTheWay.yielding) return;
    inTheWay.yielding = true;
    inTheWay.worker.cancel();
  }

  #full(): ArkError {
    const seconds = Math.ceil(this.#averageMs * this.#line.length / this.#maxLoaded / 1_000);
    return new ArkError("busy", "Too many requests are waiting for this node; ask again later", {
      retryAfterSeconds: Math.min(60, Math.max(1, seconds)),
    });
  }

  #leave(job: Job): void {
    this.#drop(job, cancelled());
    this.#schedule();
  }

  /** Ends a job for its reader. Where it runs, its slot comes back when the worker has ended it, too. */
  #drop(job: Job, error: ArkError): void {
    if (job.over) return;
    job.over = true;
    this.#line.remove(job);
    job.stream.fail(error);
    for (const { worker, job: running } of this.#residents) if (running === job) worker.cancel();
  }

  #schedule(): void {
    if (this.#disposed) return;
    for (;;) {
      const waiting = this.#line.list();
      const step = nextStep(waiting, [...this.#residents], { maxLoaded: this.#maxLoaded });
      if (step === null) return;
      if (step.kind === "evict") {
        this.#evict(step.key);
        continue;
      }
      const job = waiting[step.index];
      if (job === undefined) return;
      this.#line.remove(job);
      if (step.kind === "load") this.#load(job);
      else {
        const resident = this.#residents.values().find(({ key, phase }) => key === job.key && phase === "ready");
        if (resident !== undefined) this.#begin(resident, job);
      }
    }
  }

  #evict(key: string): void {
    for (const resident of this.#residents) {
      if (resident.key !== key || resident.phase !== "ready") continue;
      this.#options.logger?.info("Unloading a model to make room", { model: resident.model.id });
      resident.phase = "leaving";
      resident.stop.abort();
    }
  }

  #load(job: Job): void {
    const failure = this.#failures.get(job.key);
    const waitMs = (failure?.retryAt ?? 0) - performance.now();
    if (failure !== undefined && waitMs > 0) {
      const retryAfterSeconds = Math.ceil(waitMs / 1_000);
      const { code, message } = failure.error;
      return this.#drop(job, new ArkError(code, message, { cause: failure.error, retryAfterSeconds }));
    }
    const { logger, workerTimes } = this.#options;
    const worker = new WorkerProcess({
      prepare: () => this.#prepare(job.model),
      environment: this.#environment(),
      logger,
      times: workerTimes ?? {},
    });
    const resident: Resident = {
      key: job.key,
      model: job.model,
      worker,
      stop: new AbortController(),
      phase: "loading",
      busy: true,
      lastUsed: ++this.#uses,
      job,
      yielding: false,
      loaded: null,
      done: Promise.resolve(),
    };
    this.#residents.add(resident);
    resident.done = this.#live(resident);
  }

  /** How the worker of a model is started. */
  async #prepare(model: LocalModel): Promise<WorkerStart> {
    const { path, parameterCount } = model;
    await this.#options.catalogue.check?.(model);
    const { workerCommand, threads = null, gpu = "auto", vramReserve = null, contextSize = 8_192 } = this.#options;
    const { binding, barrier } = "probe" in workerCommand
      ? await this.#probe(workerCommand)
      : { binding: null, barrier: false };
    return {
      command: "probe" in workerCommand ? workerCommand.worker({ model: path, barrier }) : workerCommand,
      load: {
        binding,
        path,
        parameters: parameterCount,
        context_size: contextSize,
        threads,
        gpu,
        vram_reserve: vramReserve,
        task: "generate",
        slots: 1,
        engine: "auto",
        loras: [],
      },
    };
  }

  /** Looks which engine works here: once for all workers, and again where it failed. */
  #probe(program: WorkerProgram): Promise<ProbedEngine> {
    if (this.#probed === undefined) {
      const { gpu = "auto", logger } = this.#options;
      const options = { program, gpu, environment: this.#environment(), logger, signal: this.#ending.signal };
      this.#probed = probeEngine(options);
      this.#probed.catch(() => this.#probed = undefined);
    }
    return this.#probed;
  }

  #environment(): Record<string, string> {
    return workerEnvironment(ownEnvironment(), this.#options.workerEnvironment);
  }

  /** The life of one worker, from its start to its end. */
  async #live(resident: Resident): Promise<void> {
    const { worker, stop, model, key } = resident;
    const began = performance.now();
    const running = worker.run(stop.signal);
    try {
      const loaded = await Promise.race([worker.ready, running.then(() => undefined)]);
      if (loaded !== undefined) {
        const ms = performance.now() - began;
        const { context_size, gpu, engine, threads } = loaded;
        const { pid, barrier } = worker;
        resident.loaded = { id: model.id, pid, since: Date.now(), contextSize: context_size, gpu, barrier };
        const fields = { model: model.id, pid: worker.pid, ms, version: engine, count: threads };
        this.#options.logger?.info("Loaded a model", fields);
        this.#loadedNow(resident, ms);
      }
      await running;
    } catch (error) {
      if (!this.#disposed) this.#failed(resident, error as ArkError);
    }
    this.#residents.delete(resident);
    if (resident.job !== null) this.#drop(resident.job, this.#failures.get(key)?.error ?? cancelled());
    this.#schedule();
  }

  #loadedNow(resident: Resident, loadMs: number): void {
    if (resident.phase !== "loading") return;
    resident.phase = "ready";
    const { job } = resident;
    this.#release(resident);
    if (job !== null && !job.over) {
      job.loadMs = loadMs;
      const first = this.#line.list()[0];
      // While it was loaded for a peer, the owner may have come.
      if (job.priority === "peer" && first?.priority === "owner") {
        this.#line.putBack(job);
        this.#schedule();
      } else this.#begin(resident, job);
    } else this.#schedule();
  }

  #failed({ key, model, job, loaded }: Resident, error: ArkError): void {
    const count = (this.#failures.get(key)?.count ?? 0) + 1;
    // A first crash while it answered may be chance, so the next request tries at once; a failed load seldom is.
    const steps = loaded === null ? count : count - 1;
    const delay = steps === 0 ? 0 : Math.min(LONGEST_BACKOFF_MS, 1_000 * 2 ** (steps - 1));
    this.#failures.set(key, { count, retryAt: performance.now() + delay, error });
    this.#options.logger?.warn("A model's engine failed", { model: model.id, reason: error.message, count });
    if (job !== null) this.#drop(job, error);
  }

  #begin(resident: Resident, job: Job): void {
    const { worker } = resident;
    resident.job = job;
    resident.busy = true;
    resident.lastUsed = ++this.#uses;
    const began = performance.now();
    const timings = { queue_ms: Math.max(0, began - job.since - job.loadMs - job.progress.ranMs), load_ms: job.loadMs };
    const { id } = resident.model;
    const { progress } = job;
    const listener: AnswerListener = {
      start: (prompt_tokens) => {
        if (!progress.start(prompt_tokens)) return;
        job.stream.push({ type: "start", model: id, digest: this.#digest(resident), prompt_tokens });
      },
      part: (part) => {
        progress.add(part);
        job.stream.push(part);
      },
      end: ({ finish_reason, stop_text, ...rest }) => {
        this.#failures.delete(resident.key);
        this.#averageMs += (performance.now() - began - this.#averageMs) / 8;
        job.over = true;
        this.#release(resident);
        const stopped = stop_text === undefined ? {} : { stop_text };
        job.stream.push({ type: "end", finish_reason, ...stopped, ...endOf(progress, timings, rest) });
        this.#schedule();
      },
      fail: (error) => {
        const setAside = resident.yielding && error.code === "cancelled" && !job.over;
        const resumed = progress.resumed;
        this.#release(resident);
        if (setAside) this.#setAside(job, timings);
        else this.#drop(job, resumed && worker.state === "ready" ? cannotGoOn(error) : error);
        if (worker.state === "ready") this.#schedule();
      },
    };
    worker.answer({ ...progress.next(), principal: this.#labelOf(job.principal) }, listener);
  }

  /** Puts an answer of a peer back to the head of the peers' line, to go on when the owner's requests are done. */
  #setAside(job: Job, timings: Pick<Timings, "queue_ms" | "load_ms">): void {
    job.progress.pause();
    if (!job.progress.resumable) {
      const sentence = "The owner's request came first, and an answer like this cannot be gone on with; ask again";
      return this.#drop(job, new ArkError("busy", sentence, { retryAfterSeconds: 1 }));
    }
    if (!job.progress.full) return this.#line.putBack(job);
    job.over = true;
    job.stream.push({ type: "end", finish_reason: "length", ...endOf(job.progress, timings) });
  }

  /** What a worker is told of a principal: enough to tell two apart, and nothing of who they are. */
  #labelOf(principal: string): string {
    return createHmac("sha256", this.#secret).update(principal).digest("base64url").slice(0, 22);
  }

  #release(resident: Resident): void {
    resident.job = null;
    resident.busy = false;
    resident.yielding = false;
  }

  /** The digest of the file that was loaded: it may have been computed since. */
  #digest({ model, key }: Resident): string | null {
    const now = this.#options.catalogue.find(model.id);
    return now !== undefined && keyOf(now) === key ? now.digest : model.digest;
  }
}

/** A model file in the state in which it was read: a file that changed is another model. */
function keyOf({ path, size, mtimeMs }: LocalModel): string {
  return `${path}|${size}|${mtimeMs}`;
}

/** Whether a model answers a request of a peer now. */
function isPeers({ job, phase, busy }: Resident): boolean {
  return phase === "ready" && busy && job !== null && job.priority === "peer" && !job.over;
}

function endOf(
  progress: Continuation,
  timings: Pick<Timings, "queue_ms" | "load_ms">,
  last?: Parameters<Continuation["total"]>[0],
): { usage: Usage; timings: Timings } {
  const { usage, prompt_ms, generation_ms } = progress.total(last);
  return { usage, timings: { ...timings, prompt_ms, generation_ms } };
}

/** An answer that was set aside may not fit or please the model's template any more: that is no fault of the asker's. */
function cannotGoOn(error: ArkError): ArkError {
  if (error.code !== "bad_request" && error.code !== "context_exceeded") return error;
  const sentence = "The owner's request came first, and this answer could not be gone on with; ask again";
  return new ArkError("busy", sentence, { cause: error, retryAfterSeconds: 1 });
}

function cancelled(): ArkError {
  return new ArkError("cancelled", "The request was cancelled");
}
