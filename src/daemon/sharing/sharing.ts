import type { Config, YieldUse } from "@ark/node/config";
import type { SharingControl, SharingDetails, SharingView } from "@ark/node/http";
import { ArkError, reasonOf } from "@ark/node/protocol";
import { type Events, type Logger, nextBeat } from "@ark/node/telemetry";
import { decideSharing } from "./decide_sharing.ts";
import type { KeptPause } from "./kept_pause.ts";
import { SteadyUse, type YieldTimes } from "./steady_use.ts";
import { cannotTell, type UseDetector } from "./use_detector.ts";

/** What the owner set about sharing. */
export type SharingSettings = Pick<Config, "shareHours" | "yieldTo" | "onYield">;

/** What {@linkcode Sharing} stands on. */
export interface SharingOptions {
  /** What the owner set. */
  settings: SharingSettings;
  /** His pause. */
  kept: KeptPause;
  /** Makes a detector; asked once for each use that is to be looked for. */
  detector(what: YieldUse, settings: SharingSettings): UseDetector;
  /** Why there is too little memory, as a sentence, or null. */
  thrashing(): string | null;
  /** Called when the state has changed. */
  changed(view: SharingView): void;
  /** Told of it. */
  events: Pick<Events, "emit">;
  /** The node's log. */
  logger: Pick<Logger, "info" | "warn">;
  /** How long something must last. */
  times?: Partial<YieldTimes>;
  /** Time between two looks in place of each detector's own, in milliseconds. */
  everyMs?: number;
  /** The machine's own clock. */
  now?: () => Date;
}

/** How often pause and hours are looked at, in milliseconds. */
const TICK_MS = 1_000;

interface Watched {
  readonly detector: UseDetector;
  readonly steady: SteadyUse;
  dueAt: number;
  /** Why it cannot tell, or null. */
  blind: string | null;
}

/**
 * Decides whether this node works for peers now, and tells everybody when that changes. It never concerns the owner's own
 * requests, nor those of his own nodes.
 */
export class Sharing implements SharingControl {
  readonly #options: SharingOptions;
  #settings: SharingSettings;
  #watched: Watched[];
  #view: SharingView;
  #woken = new AbortController();

  /** Decides by pause and hours; the machine is looked at by {@linkcode run}. */
  constructor(options: SharingOptions) {
    this.#options = options;
    this.#settings = options.settings;
    this.#watched = this.#watch([]);
    this.#view = this.#decide();
  }

  /** Whether peers are served, as far as this is about the owner: too little memory is told of by the engine. */
  get open(): boolean {
    const { shares, state } = this.#view;
    return shares || state === "thrashing";
  }

  /** Whether the owner, or a program of his, uses the machine. */
  get ownerAtWork(): boolean {
    return this.#watched.some(({ steady: { sentence } }) => sentence !== null);
  }

  /** What becomes of peers' answers that run when it ends. */
  get onYield(): "finish" | "move" {
    return this.#settings.onYield;
  }

  /** When a peer that is refused may ask again, in seconds; it tells nothing of what the owner does. */
  get retryAfterSeconds(): number {
    return 60;
  }

  /** How it stands, for the owner. */
  details(): SharingDetails {
    this.#look();
    return {
      ...this.#view,
      on_yield: this.onYield,
      watches: this.#watched.map(({ detector: { what }, steady: { sentence }, blind }) => ({
        what,
        used: sentence !== null,
        cannot_tell: blind,
      })),
    };
  }

  /** Pauses for some milliseconds, or until {@linkcode resume}. */
  async pause(ms: number | null): Promise<SharingDetails> {
    await this.#kept(this.#options.kept.pause(ms));
    return this.details();
  }

  /** Ends the pause. */
  async resume(): Promise<SharingDetails> {
    await this.#kept(this.#options.kept.resume());
    return this.details();
  }

  /** Goes by other settings from now on. */
  configure(settings: SharingSettings): void {
    this.#settings = settings;
    this.#watched = this.#watch(this.#watched);
    this.#look();
    this.#woken.abort();
  }

  /** Looks at the machine until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      for (const watched of this.#watched) {
        if (performance.now() < watched.dueAt || signal.aborted) continue;
        // One after the other: no more than one program of the system is ever asked at a time.
        const reading = await watched.detector.look(signal).catch((error) => cannotTell(reasonOf(error)));
        const now = performance.now();
        watched.dueAt = now + (this.#options.everyMs ?? watched.detector.everyMs);
        watched.blind = reading.kind === "cannot_tell" ? reading.why : null;
        watched.steady.note(reading, now);
      }
      if (signal.aborted) return;
      this.#look();
      const woken = this.#woken = new AbortController();
      const tick = Math.min(TICK_MS, this.#options.everyMs ?? TICK_MS);
      await nextBeat(tick, { signal: AbortSignal.any([signal, woken.signal]) });
    }
  }

  async #kept(written: Promise<void>): Promise<void> {
    // It counts before it is durable, whatever the disk says.
    this.#look();
    try {
      await written;
    } catch (error) {
      if (error instanceof ArkError) throw error;
      throw new ArkError(
        "unavailable",
        `It counts, but could not be written down for the next start: ${reasonOf(error)}`,
        {
          cause: error,
        },
      );
    }
  }

  #look(): void {
    const before = this.#view;
    const view = this.#view = this.#decide();
    if (before.state === view.state && before.until === view.until) return;
    const { events, logger, changed } = this.#options;
    if (before.state !== view.state) {
      logger.info(view.shares ? "This node shares" : "This node does not share now", {
        reason: view.sentence,
      });
    }
    events.emit({ type: "sharing", state: view.state, shares: view.shares });
    changed(view);
  }

  #decide(): SharingView {
    const { kept, thrashing, now = () => new Date() } = this.#options;
    return decideSharing({
      now: now(),
      pause: kept.current(),
      hours: this.#settings.shareHours,
      uses: this.#watched.flatMap(({ detector: { what }, steady: { sentence } }) =>
        sentence === null ? [] : [{ what, sentence }]
      ),
      thrashing: thrashing(),
    });
  }

  /** One for each use that is looked for; what was seen before is kept. */
  #watch(before: readonly Watched[]): Watched[] {
    const { detector, times } = this.#options;
    const { uses } = this.#settings.yieldTo;
    return uses.map((what) => {
      const known = before.find((one) => one.detector.what === what);
      const steady = known?.steady ?? new SteadyUse(times);
      return { detector: detector(what, this.#settings), steady, dueAt: -Infinity, blind: null };
    });
  }
}
