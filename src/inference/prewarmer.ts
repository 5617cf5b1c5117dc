import { setTimeout as pause } from "node:timers/promises";
import { type ModelRef, reasonOf } from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";
import type { AskedModel } from "./asked_model.ts";
import type { DemandHistory } from "./demand_history.ts";

/** What {@linkcode Prewarmer} loads models with. */
export interface WarmBackend {
  /** The models in memory. */
  loaded(): readonly { readonly id: string }[];
  /** The models on their way into memory. */
  loading(): readonly { readonly id: string }[];
  /** Requests that run now. */
  readonly busy: number;
  /** Requests that wait now. */
  readonly queued: number;
  /** Whether there is memory enough on the machine. */
  readonly ready: boolean;
  /** Whether a model could be loaded without sending another one away. */
  hasRoomFor(ref: ModelRef): boolean;
  /** Brings a model into memory, or keeps it there as if it had just been used. */
  load(ref: ModelRef): Promise<void>;
}

/** Options of {@linkcode Prewarmer}. */
export interface PrewarmerOptions {
  /** Runs models. */
  backend: WarmBackend;
  /** When which model was asked for. */
  history: DemandHistory;
  /** Whether models may be loaded before they are asked for; what is asked for is learned in any case. */
  enabled: boolean;
  /** Whether the machine is free for it now; without it, always. */
  free?(): boolean;
  /** Whether a request counts: the owner's do, and those of nodes that the owner calls own. */
  counts?(asked: AskedModel): boolean;
  /** Told of a request that had to wait until its model was loaded, and of one that did not since it was loaded early. */
  cold?(what: "met" | "avoided"): void;
  /** Wall clock in milliseconds since 1970. */
  clock?: () => number;
  /** Says what is loaded early. */
  logger?: Pick<Logger, "info" | "debug">;
}

/** How often it is looked what comes next. */
const EVERY_MS = 60_000;
/** How long before it is likely to be asked for a model is loaded. */
const AHEAD_MS = 10 * 60_000;
/** How long nobody has asked for anything before the machine counts as idle. */
const IDLE_MS = 60_000;
/** How long a model is let be that left although it was wanted: the owner sent it away, or needed its room. */
const DECLINED_MS = 60 * 60_000;
/** As often in an hour a model must be likely to be asked for. */
const LEAST = 0.5;

/**
 * Loads the models that will be asked for next, as the hours of earlier days and weeks say: only where nobody asks for
 * anything, only into memory that is free, and none other is sent away for it. What was loaded early leaves by itself, with
 * the usual keep-alive, when its hour is over.
 */
export class Prewarmer {
  readonly #options: PrewarmerOptions;
  readonly #clock: () => number;
  /** Models that were loaded early, and not asked for since. */
  readonly #early = new Set<string>();
  /** Models that were sent away although they were likely to be asked for, and until when they stay away. */
  readonly #declined = new Map<string, number>();
  #askedAt = -Infinity;
  #loading: Promise<void> | null = null;

  /** Loads nothing yet. */
  constructor(options: PrewarmerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? Date.now;
  }

  /** Models that were loaded early and wait to be asked for. */
  get early(): ReadonlySet<string> {
    return this.#early;
  }

  /** A model was asked for. Peers neither teach nor are counted, unless they are the owner's own. */
  asked(asked: AskedModel): void {
    const { history, counts = ({ priority }) => priority === "owner", cold } = this.#options;
    const now = this.#clock();
    this.#askedAt = now;
    const early = this.#early.delete(asked.model);
    if (!counts(asked)) return;
    history.note(asked.model, now);
    if (!asked.warm) cold?.("met");
    else if (early) cold?.("avoided");
  }

  /** Looks what comes next, once a minute until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(EVERY_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) break;
      this.tick();
      await this.#options.history.flush();
    }
    await this.#loading;
  }

  /** Loads one model, where one is to be loaded now; the next one with the next look. */
  tick(): void {
    const { backend, history, enabled } = this.#options;
    const now = this.#clock();
    const there = new Set(backend.loaded().map(({ id }) => id));
    for (const [model, until] of this.#declined) if (now >= until) this.#declined.delete(model);
    for (const model of this.#early) {
      if (there.has(model) || this.#loading !== null) continue;
      this.#early.delete(model);
      this.#declined.set(model, now + DECLINED_MS);
    }
    if (!enabled || this.#loading !== null || !this.#idle(now) || this.#options.free?.() === false) return;
    for (const model of history.next(now, { withinMs: AHEAD_MS, least: LEAST })) {
      if (!there.has(model) && !this.#declined.has(model) && backend.hasRoomFor(model)) return this.#load(model);
      // It stays until its hour is over, even if that is longer than models stay that nobody uses.
      if (this.#early.has(model)) backend.load(model).catch(() => {});
    }
  }

  #idle(now: number): boolean {
    const { backend } = this.#options;
    const quiet = now - this.#askedAt >= IDLE_MS || now < this.#askedAt;
    return quiet && backend.ready && backend.busy === 0 && backend.queued === 0 && backend.loading().length === 0;
  }

  #load(model: string): void {
    const { backend, logger } = this.#options;
    logger?.info("Loading a model that is likely to be asked for soon", { model });
    this.#early.add(model);
    this.#loading = backend.load(model)
      .catch((error) => {
        this.#early.delete(model);
        logger?.debug("A model could not be loaded early", { model, reason: reasonOf(error) });
      })
      .finally(() => this.#loading = null);
  }
}
