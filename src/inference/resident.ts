import type { LocalModel } from "@ark/node/models";
import type { ArkError } from "@ark/node/protocol";
import type { AnswerJob } from "./job.ts";
import type { LoadedModel, LoadingModel } from "./local_options.ts";
import type { ResidentModel } from "./schedule.ts";
import type { EngineModel, EngineResult, ModelTask } from "./worker/engine.ts";
import type { WorkerProcess } from "./worker_process.ts";

/** What a {@linkcode Resident} is made of. */
export interface ResidentOptions {
  /** The model's file in its state, and what it is loaded for. */
  key: string;
  /** The model. */
  model: LocalModel;
  /** What it is loaded for. */
  task: ModelTask;
  /** Runs it; not started yet. */
  worker: WorkerProcess;
  /** Memory that it is taken to need, in bytes. */
  bytes: number;
  /** How long it stays when nobody uses it, in milliseconds; null is for ever. */
  keepAliveMs: number | null;
  /** Whether it never leaves to make room. */
  pinned: boolean;
  /** Called when nobody has used it for as long as that. */
  expired(): void;
}

/** Told how an answer came to its end. By then its slot is free. */
export interface AnswerEnd {
  /** The digest of the model's file as it is known now, or null. */
  digest(): string | null;
  /** It is complete. */
  ended(result: EngineResult): void;
  /** It ended otherwise; `yielded` where it was told to make room and may go on later. */
  failed(error: ArkError, options: { yielded: boolean }): void;
}

/** The longest that a timer can be set for, in milliseconds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

let uses = 0;

/** A model in memory or on its way in or out, with the answers that it writes and the time that it stays. */
export class Resident {
  readonly key: string;
  readonly model: LocalModel;
  readonly task: ModelTask;
  readonly worker: WorkerProcess;
  /** Ends its worker. */
  readonly stop = new AbortController();
  /** Fulfilled when its worker is gone. */
  done: Promise<void> = Promise.resolve();
  phase: "loading" | "ready" | "leaving" = "loading";
  /** How much of it is in memory, 0 to 1. */
  fraction = 0;
  /** When its loading began and ended, by the monotonic clock. */
  readonly times = { loadBegan: performance.now(), loadedAt: performance.now() };
  readonly pinned: boolean;
  readonly #expired: () => void;
  readonly #running = new Map<AnswerJob, { id: number; yielding: boolean }>();
  #engine: EngineModel | null = null;
  #since = 0;
  #bytes: number;
  #keepAliveMs: number | null;
  #lastUsed = ++uses;
  #usedAt = performance.now();
  #ownerUsedAt: number | null = null;
  /** Whether the owner wants it to leave when it is idle, however long it would have stayed. */
  #unwanted = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Makes one that is about to be loaded. */
  constructor(options: ResidentOptions) {
    this.key = options.key;
    this.model = options.model;
    this.task = options.task;
    this.worker = options.worker;
    this.pinned = options.pinned;
    this.#bytes = options.bytes;
    this.#keepAliveMs = options.keepAliveMs;
    this.#expired = options.expired;
  }

  /** Whether it was ever in memory. */
  get wasLoaded(): boolean {
    return this.#engine !== null;
  }

  /** What its engine said once it was loaded, or null. */
  get engine(): EngineModel | null {
    return this.#engine;
  }

  /** The answers that it writes. */
  get jobs(): AnswerJob[] {
    return [...this.#running.keys()];
  }

  /** Whether the owner used it so lately that it stays for the owner. */
  get kept(): boolean {
    if (this.#ownerUsedAt === null) return false;
    if (this.phase === "loading" || this.#keepAliveMs === null || this.pinned) return true;
    if (this.jobs.some(({ priority }) => priority === "owner")) return true;
    return performance.now() - this.#ownerUsedAt < this.#keepAliveMs;
  }

  /** In how many milliseconds it stays for the owner no more; null where it does for ever. */
  get keptForMs(): number | null {
    if (this.pinned || this.#keepAliveMs === null) return null;
    return Math.max(0, (this.#ownerUsedAt ?? 0) + this.#keepAliveMs - performance.now());
  }

  /** As the schedule sees it. */
  get state(): ResidentModel {
    let [owners, peers, yielding] = [0, 0, 0];
    for (const [{ priority }, running] of this.#running) {
      if (running.yielding) yielding++;
      else if (priority === "owner") owners++;
      else peers++;
    }
    return {
      key: this.key,
      // One whose worker has failed is as good as gone.
      phase: this.phase === "ready" && this.worker.state !== "ready" ? "leaving" : this.phase,
      slots: this.#engine?.slots ?? 1,
      owners,
      peers,
      yielding,
      lastUsed: this.#lastUsed,
      pinned: this.pinned,
      kept: this.kept,
      bytes: this.#bytes,
    };
  }

  /** As status shows it, or null while it is not in memory. */
  get view(): LoadedModel | null {
    if (this.#engine === null || this.phase !== "ready") return null;
    const { context_size: contextSize, gpu, slots, vram_bytes: vramBytes = 0 } = this.#engine;
    const { pid, barrier } = this.worker;
    const running = this.#running.size;
    return {
      id: this.model.id,
      task: this.task,
      pid,
      since: this.#since,
      expiresAt: this.#expiresAt(),
      contextSize,
      gpu,
      bytes: this.#bytes,
      vramBytes,
      barrier,
      slots,
      running,
      busy: running > 0,
      pinned: this.pinned,
    };
  }

  /** As status shows it while it is loaded. */
  get loadingView(): LoadingModel {
    return { id: this.model.id, task: this.task, fraction: this.fraction };
  }

  /** It is in memory. */
  loaded(engine: EngineModel): void {
    const { bytes, vram_bytes } = engine;
    this.#engine = engine;
    this.#since = Date.now();
    this.#usedAt = this.times.loadedAt = performance.now();
    if (this.#ownerUsedAt !== null) this.#ownerUsedAt = this.#usedAt;
    if (bytes !== undefined || vram_bytes !== undefined) this.#bytes = (bytes ?? 0) + (vram_bytes ?? 0);
    this.phase = "ready";
    this.#watch();
  }

  /** Somebody wants it; the owner may say how long it stays afterwards. */
  use({ priority, keepAliveMs }: { priority: "owner" | "peer"; keepAliveMs?: number | null | undefined }): void {
    this.#lastUsed = ++uses;
    this.#usedAt = performance.now();
    if (priority === "owner") {
      this.#ownerUsedAt = this.#usedAt;
      if (keepAliveMs !== undefined) {
        this.#keepAliveMs = keepAliveMs;
        this.#unwanted = false;
      }
    }
    this.#watch();
  }

  /** Begins an answer, in a slot that is free. */
  begin(job: AnswerJob, { principal, end }: { principal: string; end: AnswerEnd }): void {
    this.use(job);
    job.begin(this.times);
    const running = { id: 0, yielding: false };
    this.#running.set(job, running);
    const release = () => {
      this.#running.delete(job);
      this.use({ priority: job.priority });
    };
    const urgent = job.priority === "owner" ? { urgent: true } as const : {};
    running.id = this.worker.answer({ ...job.progress.next(), principal, ...urgent }, {
      start: (prompt) => job.start(prompt, end.digest()),
      part: (part) => job.part(part),
      end: (result) => {
        release();
        end.ended(result);
      },
      fail: (error) => {
        release();
        end.failed(error, { yielded: running.yielding && error.code === "cancelled" });
      },
    });
  }

  /** Ends an answer that nobody wants any more. */
  cancel(job: AnswerJob): void {
    const running = this.#running.get(job);
    if (running !== undefined) this.worker.cancel(running.id);
  }

  /**
   * Has one of the peers' answers make room: the youngest of those that can be gone on with, since what was read for it
   * must be read again.
   */
  yieldOne(): void {
    const peers = [...this.#running].filter(([{ priority }, { yielding }]) => priority === "peer" && !yielding)
      .reverse();
    const [, running] = peers.find(([{ progress }]) => progress.resumable) ?? peers[0] ?? [];
    if (running === undefined) return;
    running.yielding = true;
    this.worker.cancel(running.id);
  }

  /** Ends its worker. */
  leave(): void {
    this.phase = "leaving";
    clearTimeout(this.#timer);
    this.stop.abort();
  }

  /** Ends its worker as soon as nobody uses it. */
  leaveWhenIdle(): void {
    this.#unwanted = true;
    this.#watch();
  }

  /** Its worker is gone. */
  gone(): void {
    this.phase = "leaving";
    clearTimeout(this.#timer);
  }

  #expiresAt(): number | null {
    if (!this.#unwanted && (this.pinned || this.#keepAliveMs === null)) return null;
    const idleMs = this.#running.size > 0 ? 0 : performance.now() - this.#usedAt;
    return Math.round(Date.now() + Math.max(0, (this.#unwanted ? 0 : this.#keepAliveMs ?? 0) - idleMs));
  }

  /** Sees to it that it is noticed when nobody has used it for long enough. */
  #watch(): void {
    clearTimeout(this.#timer);
    const staysMs = this.#unwanted ? 0 : this.pinned ? null : this.#keepAliveMs;
    if (this.phase !== "ready" || this.#running.size > 0 || staysMs === null) return;
    const rest = Math.max(0, this.#usedAt + staysMs - performance.now());
    this.#timer = setTimeout(() => {
      if (rest > LONGEST_TIMER_MS) this.#watch();
      else if (this.phase === "ready" && this.#running.size === 0) this.#expired();
    }, Math.min(LONGEST_TIMER_MS, rest));
  }
}
