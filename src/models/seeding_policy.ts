import { sharesModel } from "@ark/node/peers";

/** Hours of each day, by the machine's own clock. From later than until goes over midnight; the same is all day. */
export interface SeedHours {
  /** Minutes after midnight when it begins, 0 to 1439. */
  readonly from: number;
  /** Minutes after midnight when it ends, 0 to 1439. */
  readonly until: number;
}

/** What an owner set about giving models away. */
export interface SeedingRules {
  /** Which of the shared models, as `name:tag` with `*` for any text; null for all of them. */
  readonly models: readonly string[] | null;
  /** When, or null for always. */
  readonly hours: SeedHours | null;
}

/**
 * Which models this node gives to peers, and when. It only ever takes away: what a peer may download at all is said by its
 * approval. The owner's own nodes are bound by it, too, since it is his link that is spared.
 */
export class SeedingPolicy {
  readonly #rules: SeedingRules;

  /** Makes a policy of an owner's rules. */
  constructor(rules: SeedingRules = { models: null, hours: null }) {
    this.#rules = rules;
  }

  /** True where a model may be given now, else a sentence that says why not. Pure. */
  mayServe(model: string, now: Date = new Date()): true | string {
    const { models, hours } = this.#rules;
    if (models !== null && !sharesModel(models, model)) return "This node does not give that model to others";
    if (hours === null || isWithin(hours, now.getHours() * 60 + now.getMinutes())) return true;
    return `This node gives models from ${clock(hours.from)} to ${clock(hours.until)} by its own clock`;
  }
}

function isWithin({ from, until }: SeedHours, minute: number): boolean {
  if (from === until) return true;
  return from < until ? minute >= from && minute < until : minute >= from || minute < until;
}

function clock(minutes: number): string {
  return `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
}
