import { createHmac, randomBytes } from "node:crypto";
import type { LocalModel } from "@ark/node/models";
import type { ArkError } from "@ark/node/protocol";
import { Failures } from "./failures.ts";
import { AnswerJob, cancelled, type Job, keyOf, LoadJob } from "./job.ts";
import type { LocalBackendOptions } from "./local_options.ts";
import { leastModelBytes } from "./model_memory.ts";
import { cannotGoOn, mustWait, noRoom, ownersTurn, queueFull } from "./refusals.ts";
import type { Resident } from "./resident.ts";
import { Residents } from "./residents.ts";
import { nextStep, peerSlots, type Step, type WaitingRequest } from "./schedule.ts";
import { ModelSpeeds } from "./model_speeds.ts";
import { ServiceTimes } from "./service_times.ts";
import { WaitingLine } from "./waiting_line.ts";
import { TASKS } from "./worker/engine.ts";
import type { WorkerStarter } from "./worker_starter.ts";

/** What {@linkcode Dispatcher} needs. */
export interface DispatcherOptions {
  /** As the backend was given them. */
  options: LocalBackendOptions;
  /** Makes workers. */
  starter: WorkerStarter;
  /** Whether work of peers is begun. */
  takesPeers(): boolean;
  /** Called when who waits or runs, or what is in memory, may have changed. */
  changed(): void;
}

/** After so many milliseconds without room, those behind in the line do not keep it taken any longer. */
const PATIENCE_MS = 30_000;

/** Leads jobs from the line to a model's slot, and makes room for them, as {@linkcode nextStep} decides. */
export class Dispatcher {
  /** The models in memory, and on their way in and out. */
  readonly residents: Residents;
  /** Models that failed. */
  readonly failures = new Failures();
  /** How fast models are. */
  readonly speeds = new ModelSpeeds();
  readonly #needs: DispatcherOptions;
  readonly #line: WaitingLine<Job>;
  readonly #times = new ServiceTimes();
  readonly #secret = randomBytes(32);
  #closed = false;
  #scheduling = false;

  /** Makes a dispatcher without jobs. */
  constructor(needs: DispatcherOptions) {
    const { options, starter } = needs;
    this.#needs = needs;
    this.#line = new WaitingLine(options.maxQueued ?? 64);
    this.residents = new Residents({
      options,
      starter,
      failures: this.failures,
      loaded: ({ id }, ms) => this.speeds.loaded(id, ms),
      changed: () => this.schedule(),
      failed: (resident, error) => this.#failed(resident, error),
    });
  }

  /** Jobs that wait, in their order. */
  waiting(): Job[] {
    return this.#line.list();
  }

  /** Puts a job into the line. */
  join(job: Job): void {
    const displaced = this.#line.add(job);
    if (displaced !== undefined) this.#drop(displaced, this.#full(displaced));
    this.schedule();
  }

  /** What one is told for whom there is no place in the line. */
  #full({ key, priority }: Job): ArkError {
    const line = this.#line.list();
    const before = line.filter((each) => each.key === key && (each.priority === "owner" || priority === "peer")).length;
    const all = this.residents.find(key)?.state.slots ?? 1;
    const slots = priority === "owner" ? all : peerSlots(all);
    return queueFull({
      position: line.length + 1,
      seconds: this.#times.waitSeconds(key, { position: before + 1, slots }),
    });
  }

  /** Nobody wants a job any more. */
  leave(job: Job): void {
    this.#drop(job, cancelled());
    this.schedule();
  }

  /** Ends all jobs and all workers. */
  async close(error: ArkError): Promise<void> {
    this.#closed = true;
    const residents = this.residents.list();
    for (const job of [...this.#line.list(), ...residents.flatMap(({ jobs }) => jobs)]) this.#drop(job, error);
    for (const resident of residents) resident.leave();
    await Promise.all(residents.map(({ done }) => done));
  }

  /** The machine thrashes: what peers wait for is refused, and what only they used makes room. */
  strained(): void {
    const error = mustWait();
    for (const job of this.#line.list()) {
      if (job instanceof AnswerJob && job.priority === "peer" && !job.progress.begun) this.#drop(job, error);
    }
    this.evictIdle();
  }

  /** What nobody uses, and the owner does not keep, makes room. */
  evictIdle(): void {
    for (const resident of this.residents.list()) {
      const { phase, pinned, kept, jobs } = resident;
      if (phase === "ready" && !pinned && !kept && jobs.length === 0) this.residents.evict(resident.key);
    }
  }

  /** Ends a job for its reader. Where it runs, its slot comes back when the worker has ended it, too. */
  #drop(job: Job, error: ArkError): void {
    if (job.over) return;
    this.#line.remove(job);
    job.fail(error);
    if (job instanceof AnswerJob) { for (const resident of this.residents.list()) resident.cancel(job); }
  }

  /** Does all that can be done now. */
  schedule(): void {
    // What a step does comes back here; one loop is enough.
    if (this.#closed || this.#scheduling) return;
    this.#scheduling = true;
    try {
      while (this.#step()) { /* Until all that remain must wait. */ }
    } finally {
      this.#scheduling = false;
    }
    this.#needs.changed();
  }

  /** Does what is to be done next; false where there is nothing. */
  #step(): boolean {
    const line = this.#line.list().filter((job) => this.#goesOn(job));
    const residents = this.residents.list();
    const states = residents.map(({ state }) => state);
    const step = nextStep(line.map((job) => this.#waiting(job)), states, this.residents.room);
    if (step === null) return false;
    if (step.kind === "evict") this.residents.evict(step.key);
    else if (step.kind === "aside") this.residents.find(step.key)?.yieldOne();
    else {
      const job = line[step.index];
      if (job === undefined) return false;
      this.#do(step, job);
    }
    return true;
  }

  /** Whether a job may have its turn now: where no work of peers is begun, what was begun goes on if its model is there. */
  #goesOn(job: Job): boolean {
    if (job instanceof LoadJob || job.priority === "owner" || this.#needs.takesPeers()) return true;
    return job.progress.begun && this.residents.find(job.key) !== undefined;
  }

  #waiting(job: Job): WaitingRequest {
    const { key, priority, since, model } = job;
    const impatient = performance.now() - since > PATIENCE_MS;
    // What a GPU has no room for is computed by the CPU.
    const leastBytes = this.#needs.starter.gpu === true ? 0 : leastModelBytes(model);
    const bytes = this.residents.wishOf(job);
    const loadOnly = job instanceof LoadJob;
    const aside = !loadOnly && job.progress.begun;
    return { key, priority, bytes, leastBytes, loadOnly, aside, impatient };
  }

  #do(step: Extract<Step, { index: number }>, job: Job): void {
    if (step.kind === "refuse") {
      return this.#drop(job, noRoom({ ...step, job, residents: this.residents }));
    }
    if (step.kind === "load") {
      const failure = this.failures.current(job.key);
      return failure === null ? this.residents.load(job) : this.#drop(job, failure);
    }
    this.#line.remove(job);
    const resident = this.residents.find(job.key);
    if (job instanceof AnswerJob) {
      if (resident !== undefined) this.#begin(resident, job);
    } else {
      resident?.use(job);
      job.succeed();
    }
  }

  /** A model could not be loaded, or its worker failed: who waits for what was never there hears why. */
  #failed({ key, wasLoaded }: Resident, error: ArkError): void {
    if (wasLoaded || this.#closed) return;
    for (const job of this.#line.list()) if (job.key === key) this.#drop(job, error);
  }

  #begin(resident: Resident, job: AnswerJob): void {
    const { worker, key } = resident;
    const { progress } = job;
    const resumed = progress.resumed;
    resident.begin(job, {
      principal: this.#labelOf(job.principal),
      end: {
        digest: () => this.#digest(job.model, key),
        ended: (result) => {
          this.failures.clear(key);
          this.#times.add(key, job.ranMs);
          if (job.task === "generate") this.speeds.finished(job.model.id, result, { resumed: progress.continued });
          job.end(result);
          this.schedule();
        },
        failed: (error, { yielded }) => {
          if (yielded && !job.over) this.#setAside(job);
          else this.#drop(job, resumed && worker.state === "ready" ? cannotGoOn(error) : error);
          this.schedule();
        },
      },
    });
  }

  /** Puts an answer of a peer back to the head of the peers' line, to go on when the owner's requests are done. */
  #setAside(job: AnswerJob): void {
    job.progress.pause();
    if (!job.progress.resumable) this.#drop(job, ownersTurn());
    else if (job.progress.full) job.end();
    else this.#line.putBack(job);
  }

  /** What a worker is told of a principal: enough to tell two apart, and nothing of who they are. */
  #labelOf(principal: string): string {
    return createHmac("sha256", this.#secret).update(principal).digest("base64url").slice(0, 22);
  }

  /** The digest of the file that was loaded: it may have been computed since. */
  #digest(model: LocalModel, key: string): string | null {
    const now = this.#needs.options.catalogue.find(model.id);
    return now !== undefined && TASKS.some((task) => keyOf(now, task) === key) ? now.digest : model.digest;
  }
}
