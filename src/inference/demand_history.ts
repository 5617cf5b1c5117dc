import { reasonOf } from "@ark/node/protocol";
import type { Store } from "@ark/node/store";
import type { Logger } from "@ark/node/telemetry";

/** What {@linkcode DemandHistory.open} needs. */
export interface DemandHistoryOptions {
  /** Keeps it in its table `demand`. */
  store: Store;
  /** Says when it cannot be written. */
  logger?: Pick<Logger, "debug">;
  /** Which hour of which week an instant (milliseconds since 1970) is in. The default is {@linkcode hourOfWeek}. */
  hourOf?: HourOf;
}

/** Which hour of the week (0 to 167, 0 is midnight of a Sunday) of which week (counted from any one) an instant is in. */
export type HourOf = (at: number) => { hour: number; week: number };

/** Requests for a model in one hour of the week, as of some week. */
interface Bucket {
  asked: number;
  week: number;
}

/** Hours of a week. */
const HOURS = 168;
const HOUR_MS = 3_600_000;
/** What was asked a week ago counts half as much as what was asked in this one. */
const KEPT_IN_A_WEEK = 0.5;
/** Models that are remembered; the one that was asked for least is forgotten. */
const MOST_MODELS = 64;
/** Less than this is as good as nothing, and is forgotten. */
const NEGLIGIBLE = 0.01;

/**
 * The owner's hours: how often each model was asked for in each hour of the week, the last weeks first. It is bounded (64
 * models of 168 hours), and holds neither who asked nor what.
 */
export class DemandHistory {
  readonly #models = new Map<string, Map<number, Bucket>>();
  readonly #hourOf: HourOf;
  readonly #store: Store | null;
  readonly #logger: Pick<Logger, "debug"> | null;
  /** Models and hours that were not written yet. */
  readonly #changed = new Map<string, Set<number>>();

  /** Makes an empty one; without a store it is forgotten with the process. */
  constructor({ store, logger, hourOf = hourOfWeek }: Partial<DemandHistoryOptions> = {}) {
    this.#store = store ?? null;
    this.#logger = logger ?? null;
    this.#hourOf = hourOf;
  }

  /** Takes up what was kept. A row that makes no sense is left out. */
  static async open(options: DemandHistoryOptions): Promise<DemandHistory> {
    const history = new DemandHistory(options);
    for (const { model, hour, asked, week } of await options.store.selectFrom("demand").selectAll().execute()) {
      if (hour < HOURS && asked > 0 && history.#models.size < MOST_MODELS) {
        history.#hoursOf(model).set(hour, { asked, week });
      }
    }
    return history;
  }

  /** Models that are remembered. */
  get size(): number {
    return this.#models.size;
  }

  /** Notes that a model was asked for. */
  note(model: string, at: number): void {
    const { hour, week } = this.#hourOf(at);
    const hours = this.#hoursOf(model);
    hours.set(hour, { asked: valueIn(hours.get(hour), week) + 1, week });
    this.#mark(model, hour);
    if (this.#models.size > MOST_MODELS) this.#forgetLeast(at);
  }

  /**
   * How often a model is likely to be asked for in the hour of an instant: as often as in this hour of the last weeks, and
   * as on the other days at this time. Nothing counts that was not asked for on an earlier day.
   */
  expected(model: string, at: number): number {
    const hours = this.#models.get(model);
    if (hours === undefined) return 0;
    const { hour, week } = this.#hourOf(at);
    let others = 0;
    for (let day = 1; day < 7; day++) others += valueIn(hours.get((hour + 24 * day) % HOURS), week);
    const same = hours.get(hour);
    // What was asked for in this very hour is no pattern yet.
    const before = same === undefined || same.week >= week ? 0 : valueIn(same, week) / KEPT_IN_A_WEEK;
    return Math.max(before, others / 6);
  }

  /** The models that are likely to be asked for within some time, the likeliest first. */
  next(at: number, { withinMs, least }: { withinMs: number; least: number }): string[] {
    const found: { model: string; expected: number }[] = [];
    for (const model of this.#models.keys()) {
      let expected = this.expected(model, at);
      for (let ahead = HOUR_MS; ahead < withinMs + HOUR_MS; ahead += HOUR_MS) {
        expected = Math.max(expected, this.expected(model, at + Math.min(ahead, withinMs)));
      }
      if (expected >= least) found.push({ model, expected });
    }
    return found.sort((a, b) => b.expected - a.expected || (a.model < b.model ? -1 : 1)).map(({ model }) => model);
  }

  /** Writes what has changed; what fails is tried again the next time. Never rejects. */
  async flush(): Promise<void> {
    if (this.#store === null || this.#changed.size === 0) return;
    const changed = [...this.#changed].map(([model, hours]) => ({ model, hours: [...hours] }));
    this.#changed.clear();
    try {
      await this.#store.batch((database) => {
        for (const { model, hours } of changed) {
          const known = this.#models.get(model);
          if (known === undefined) database.run("DELETE FROM demand WHERE model = ?", model);
          for (const hour of known === undefined ? [] : hours) {
            const bucket = known?.get(hour);
            if (bucket === undefined) database.run("DELETE FROM demand WHERE model = ? AND hour = ?", model, hour);
            else {
              const { asked, week } = bucket;
              database.run("INSERT OR REPLACE INTO demand VALUES (?, ?, ?, ?)", model, hour, asked, week);
            }
          }
        }
      });
    } catch (error) {
      for (const { model, hours } of changed) for (const hour of hours) this.#mark(model, hour);
      this.#logger?.debug("The hours of demand could not be written", { reason: reasonOf(error) });
    }
  }

  /** Writes the rest. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.flush();
  }

  #hoursOf(model: string): Map<number, Bucket> {
    let hours = this.#models.get(model);
    if (hours === undefined) this.#models.set(model, hours = new Map());
    return hours;
  }

  #mark(model: string, hour: number): void {
    const hours = this.#changed.get(model);
    if (hours === undefined) this.#changed.set(model, new Set([hour]));
    else hours.add(hour);
  }

  /** Forgets what has faded, and the model of which least is left where there are too many still. */
  #forgetLeast(at: number): void {
    const { week } = this.#hourOf(at);
    let least: { model: string; sum: number } | null = null;
    for (const [model, hours] of this.#models) {
      let sum = 0;
      for (const [hour, bucket] of hours) {
        const value = valueIn(bucket, week);
        if (value >= NEGLIGIBLE) sum += value;
        else {
          hours.delete(hour);
          this.#mark(model, hour);
        }
      }
      if (least === null || sum < least.sum) least = { model, sum };
    }
    if (least === null || this.#models.size <= MOST_MODELS) return;
    this.#models.delete(least.model);
    this.#mark(least.model, 0);
  }
}

/** By the machine's own clock and time zone: people's habits follow it. */
export function hourOfWeek(at: number): { hour: number; week: number } {
  const date = new Date(at);
  const hour = date.getDay() * 24 + date.getHours();
  // Midnight of the Sunday before, as if there were no summer time: only whether two weeks are the same counts.
  const days = Math.floor(Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / 86_400_000);
  return { hour, week: Math.floor((days + 4) / 7) };
}

/** What a bucket is worth in a week. */
function valueIn(bucket: Bucket | undefined, week: number): number {
  if (bucket === undefined) return 0;
  // A clock that was set back makes nothing grow.
  return bucket.asked * KEPT_IN_A_WEEK ** Math.max(0, week - bucket.week);
}
