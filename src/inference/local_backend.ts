import { withDefaults } from "@ark/node/models";
import { ArkError, type InferenceEvent, type InferenceRequest, type ModelRef } from "@ark/node/protocol";
import { nextBeat } from "@ark/node/telemetry";
import type { AskedModel } from "./asked_model.ts";
import type { Backend, InferOptions } from "./backend.ts";
import { Dispatcher } from "./dispatcher.ts";
import { EarlyModels } from "./early_models.ts";
import { EventStream } from "./event_stream.ts";
import { AnswerJob, cancelled, type Job, keyOf, LoadJob, mainTask, modelNotFound } from "./job.ts";
import type { LoadedModel, LoadingModel, LoadOptions, LocalBackendOptions, LocalQueue } from "./local_options.ts";
import { MemoryGuard } from "./memory_guard.ts";
import { MemoryReader } from "./memory_reader.ts";
import type { ModelSpeed } from "./model_speeds.ts";
import { freeFor, type Occupancy, occupancyOf } from "./occupancy.ts";
import { mustWait } from "./refusals.ts";
import { DEFAULT_SLOTS } from "./residents.ts";
import { TASKS } from "./worker/engine.ts";
import { WorkerStarter } from "./worker_starter.ts";

/** How often it is looked at how memory stands, and whether the models that shall be there are, in milliseconds. */
const WATCH_MS = 2_000;

/**
 * The models of this node, each in a worker process of its own that is started by the first request and stays for a
 * while. A model answers as many requests at once as it has slots; the others wait in a line, the owner's before those
 * of peers. The last slot of a model is the owner's alone; where the owner would have to wait all the same, a peer's
 * answer is set aside, and goes on from where it was when no request of the owner waits any more.
 */
export class LocalBackend implements Backend, AsyncDisposable {
  /** Name for people and logs. */
  readonly name: string;
  readonly #options: LocalBackendOptions;
  readonly #starter: WorkerStarter;
  readonly #dispatcher: Dispatcher;
  readonly #guard = new MemoryGuard();
  readonly #ending = new AbortController();
  readonly #early: EarlyModels;
  readonly #watchers = new Set<() => void>();
  readonly #askedListeners = new Set<(asked: AskedModel) => void>();
  #disposed = false;

  /** Makes a backend without any model in memory. */
  constructor(options: LocalBackendOptions) {
    const { name = "local", maxLoaded = 4, maxQueued = 64, slots = 1, workerCommand } = options;
    if (Array.isArray(workerCommand) && workerCommand.length === 0) {
      throw new TypeError("workerCommand must name a program");
    }
    if (maxLoaded < 1 || maxQueued < 1 || slots < 1) {
      throw new RangeError("maxLoaded, maxQueued and slots must be at least 1");
    }
    this.name = name;
    this.#options = options;
    this.#starter = new WorkerStarter(options, this.#ending.signal);
    this.#dispatcher = new Dispatcher({
      options,
      starter: this.#starter,
      takesPeers: () => this.ready,
      changed: () => {
        for (const changed of this.#watchers) changed();
      },
    });
    this.#early = new EarlyModels({
      options,
      there: (key) => this.#dispatcher.residents.find(key) !== undefined,
      load: (ref, how) => this.load(ref, how),
    });
  }

  /** Looks which engine works here before the first request wants it, where that takes a process of its own. */
  warmUp(): void {
    this.#starter.warmUp();
  }

  /**
   * Watches over memory, and loads the models that shall be there, until the signal is aborted. A pinned one that is
   * gone is loaded again.
   */
  async run(signal: AbortSignal): Promise<void> {
    const reader = new MemoryReader();
    const { memory = () => reader.read(), watchMs = WATCH_MS, logger } = this.#options;
    while (!signal.aborted && !this.#disposed) {
      const reading = await memory();
      this.#dispatcher.residents.note(reading);
      if (this.#guard.note(reading)) {
        if (this.ready) logger?.info("There is memory enough again: peers' requests are taken");
        else {
          logger?.warn("There is too little memory: peers' requests are refused", { reason: this.fault ?? "" });
          this.#dispatcher.strained();
        }
      }
      this.#early.load();
      this.#dispatcher.schedule();
      await nextBeat(watchMs, { signal, ref: false });
    }
  }

  /** Whether it takes work of peers: not while the machine has too little memory. */
  get ready(): boolean {
    return this.#guard.ready;
  }

  /** Why it does not, as a sentence, or null. */
  get fault(): string | null {
    return this.#guard.reason;
  }

  /** Requests that run now. */
  get busy(): number {
    return this.#dispatcher.residents.list().reduce((sum, { jobs }) => sum + jobs.length, 0);
  }

  /** Requests that wait now. */
  get queued(): number {
    return this.#dispatcher.waiting().length;
  }

  /** How much room there is for the work of peers. */
  occupancy(): Occupancy {
    return occupancyOf({
      residents: this.#dispatcher.residents.list(),
      waiting: this.#dispatcher.waiting(),
      coldSlots: this.#options.slots ?? DEFAULT_SLOTS,
    });
  }

  /** Calls, until it is disposed of, whenever who waits or runs, or what is in memory, may have changed: often, and cheaply. */
  watch(changed: () => void): Disposable {
    // The same function may watch twice.
    const watcher = () => changed();
    this.#watchers.add(watcher);
    return { [Symbol.dispose]: () => void this.#watchers.delete(watcher) };
  }

  /** How much it has to do, and could take on. */
  queue(): LocalQueue {
    const states = this.#dispatcher.residents.list().map(({ state }) => state).filter(({ phase }) => phase === "ready");
    const sum = (numbers: readonly number[]) => numbers.reduce((all, each) => all + each, 0);
    return {
      running: this.busy,
      waiting: this.queued,
      slots: states.length === 0 ? 1 : sum(states.map(({ slots }) => slots)),
      freeForPeers: !this.ready ? 0 : states.length === 0 ? 1 : sum(states.map(freeFor)),
    };
  }

  /**
   * How fast the models of this node are, by their names: what loading took, and tokens in a second, as moving averages of
   * what was measured. Models that were never used are not there.
   */
  speeds(): ReadonlyMap<string, ModelSpeed> {
    return this.#dispatcher.speeds.list();
  }

  /** Memory of the GPU for models, in bytes; null where there is none, or nothing was loaded there yet. */
  get gpuMemory(): number | null {
    return this.#dispatcher.residents.gpuMemory;
  }

  /** The models in memory. */
  loaded(): LoadedModel[] {
    return this.#dispatcher.residents.list().flatMap(({ view }) => view ?? []);
  }

  /** The models on their way into memory. */
  loading(): LoadingModel[] {
    return this.#dispatcher.residents.list().flatMap(({ phase, loadingView }) =>
      phase === "loading" ? loadingView : []
    );
  }

  /** Why a model of this node cannot run at the moment, as its engine's own sentence, or null. */
  failure(ref: ModelRef): string | null {
    const model = this.#options.catalogue.find(ref);
    if (model === undefined) return null;
    return TASKS.map((task) => this.#dispatcher.failures.current(keyOf(model, task))?.message).find((each) => each) ??
      null;
  }

  /** Calls with each request for one of its models, until it is disposed of. */
  onAsked(listener: (asked: AskedModel) => void): Disposable {
    this.#askedListeners.add(listener);
    return { [Symbol.dispose]: () => void this.#askedListeners.delete(listener) };
  }

  /** Whether a model could be loaded now as it would like to be, without sending another one away. */
  hasRoomFor(ref: ModelRef): boolean {
    const model = this.#options.catalogue.find(ref);
    if (model === undefined) return false;
    const { residents } = this.#dispatcher;
    const all = residents.list();
    const held = all.reduce((bytes, { state }) => bytes + state.bytes, 0);
    const { maxLoaded, bytes } = residents.room;
    return all.length < maxLoaded && held + residents.wishOf({ model, task: mainTask(model) }) <= bytes;
  }

  /** Whether there is such a model file. */
  handles(model: ModelRef): boolean {
    return this.#options.catalogue.find(model) !== undefined;
  }

  /** All its engines are processes of this machine. */
  worksHere(model: ModelRef): boolean {
    return this.handles(model);
  }

  /**
   * Brings a model into memory for the owner, where it is not there yet.
   *
   * @throws {ArkError} `model_not_found`, `busy` where the line is full, `engine_failed`, `cancelled`.
   */
  async load(ref: ModelRef, { task, keepAliveMs, signal }: LoadOptions = {}): Promise<void> {
    const model = this.#options.catalogue.find(ref);
    if (model === undefined) throw modelNotFound(ref);
    if (this.#disposed) throw stopping();
    const keepAlive = keepAliveMs === undefined ? {} : { keepAliveMs };
    const job = new LoadJob({ model, task: task ?? mainTask(model), ...keepAlive });
    this.#early.wanted(model);
    const abort = () => this.#dispatcher.leave(job);
    signal?.addEventListener("abort", abort);
    this.#dispatcher.join(job);
    if (signal?.aborted) abort();
    try {
      await job.done;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /**
   * Sends a model away, whatever it was loaded for: at once where nobody uses it, else when its last answer has ended.
   * Pinned ones go, too, since this is the owner's own word, and come back with the next request.
   *
   * @throws {ArkError} `model_not_found`
   */
  async unload(ref: ModelRef): Promise<void> {
    const model = this.#options.catalogue.find(ref);
    if (model === undefined) throw modelNotFound(ref);
    const keys = new Set(TASKS.map((task) => keyOf(model, task)));
    const gone: Promise<void>[] = [];
    if (this.#dispatcher.residents.isPinned(model)) this.#early.sendAway(model);
    for (const resident of this.#dispatcher.residents.list().filter(({ key }) => keys.has(key))) {
      const wanted = this.#dispatcher.waiting().some(({ key }) => key === resident.key);
      if (resident.jobs.length > 0 || (resident.phase === "loading" && wanted)) resident.leaveWhenIdle();
      else {
        resident.leave();
        gone.push(resident.done);
      }
    }
    await Promise.all(gone);
  }

  /** Frees the memory of models that nobody uses now and that the owner does not keep. */
  makeRoom(): void {
    this.#dispatcher.evictIdle();
    this.#dispatcher.schedule();
  }

  /**
   * Answers a request with a model of this node, loading it first where needed.
   *
   * @throws {ArkError} from the iteration: `model_not_found`, `busy` when too many wait or memory is short,
   * `engine_failed`, `context_exceeded`, `bad_request`, `cancelled`.
   */
  infer(request: InferenceRequest, options: InferOptions): AsyncIterable<InferenceEvent> {
    let job: Job | undefined;
    const abort = () => {
      if (job !== undefined) this.#dispatcher.leave(job);
    };
    const stream = new EventStream({
      begin: () => {
        options.signal.addEventListener("abort", abort);
        job = this.#enter(request, options, stream);
      },
      leave: abort,
      over: () => options.signal.removeEventListener("abort", abort),
      direct: options.direct,
    });
    return stream;
  }

  /** Ends all requests and all workers. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    const error = new ArkError("cancelled", "The node is stopping");
    this.#ending.abort();
    await this.#dispatcher.close(error);
    await this.#starter.settled();
  }

  #enter(request: InferenceRequest, options: InferOptions, stream: EventStream): Job | undefined {
    const refuse = (error: ArkError) => void stream.fail(error);
    if (this.#disposed) return refuse(stopping());
    if (options.signal.aborted) return refuse(cancelled());
    const model = this.#options.catalogue.find(request.model);
    if (model === undefined) return refuse(modelNotFound(request.model));
    if (options.priority === "peer" && !this.ready) return refuse(mustWait());
    const job = new AnswerJob(withDefaults(request, model), { model, options, stream });
    this.#early.wanted(model);
    const warm = this.#dispatcher.residents.find(job.key)?.phase === "ready";
    const { priority, principal } = options;
    for (const listener of this.#askedListeners) listener({ model: model.id, priority, principal, warm });
    this.#dispatcher.join(job);
    return job;
  }
}

function stopping(): ArkError {
  return new ArkError("unavailable", "The node is stopping");
}
