import { Decayed } from "./decayed.ts";

/** Whether requests and answers go where they end sooner, although somebody is at them already. */
export type MoveSetting = "on" | "off";

/** Part of the requests whose running answer may go elsewhere, and how many can be saved up. */
const SHARE = 0.05;
const MOST_SAVED = 5;
/**
 * So much of what one was asked lately may be taken back from its line. A node makes a peer wait that breaks off half of
 * what it asks for, and it cannot tell whether the peer has a better place or plays tricks.
 */
const TAKEN_BACK = 0.35;
const LEAST_ASKED = 4;
const HALF_LIFE_MS = 60_000;
/** Those of whom it is remembered. */
const MOST_KNOWN = 4_096;
/** There is no look for a better place sooner after the last one of any request, in milliseconds: each looks at many. */
const APART_MS = 5;

/** How often requests and answers may go elsewhere. Bounded; what it counts is this node's own. */
export class Moves {
  readonly #clock: () => number;
  readonly #setting: MoveSetting;
  /** The one that was asked last comes last. */
  readonly #known = new Map<string, { asked: Decayed; back: Decayed }>();
  #saved = 1;
  #lookedAt = -Infinity;

  /** Makes one that has counted nothing. The clock is monotonic, in milliseconds. */
  constructor({ setting = "on", clock = () => performance.now() }: { setting?: MoveSetting; clock?: () => number } = {}) {
    this.#setting = setting;
    this.#clock = clock;
  }

  /** Whether anything may move at all. */
  get on(): boolean {
    return this.#setting === "on";
  }

  /** A request came. */
  came(): void {
    this.#saved = Math.min(MOST_SAVED, this.#saved + SHARE);
  }

  /** One was asked. */
  asked(key: string): void {
    const known = this.#known.get(key) ?? { asked: new Decayed(HALF_LIFE_MS), back: new Decayed(HALF_LIFE_MS) };
    known.asked.add(1, this.#clock());
    this.#known.delete(key);
    this.#known.set(key, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MOST_KNOWN && oldest !== undefined) this.#known.delete(oldest);
  }

  /** Whether it may be looked now for a better place. */
  mayLook(): boolean {
    const now = this.#clock();
    if (!this.on || now - this.#lookedAt < APART_MS) return false;
    this.#lookedAt = now;
    return true;
  }

  /** Whether a request may be taken back from the line of one. */
  mayTakeBack(key: string): boolean {
    const known = this.#known.get(key);
    if (!this.on || known === undefined) return false;
    const now = this.#clock();
    const asked = known.asked.at(now);
    return known.back.at(now) + 1 <= Math.max(1, asked < LEAST_ASKED ? 1 : TAKEN_BACK * asked);
  }

  /** A request was taken back from the line of one. */
  tookBack(key: string): void {
    this.#known.get(key)?.back.add(1, this.#clock());
  }

  /** Whether there is one left for a running answer. */
  get mayMove(): boolean {
    return this.on && this.#saved >= 1;
  }

  /** A running answer is read by another one in order to go on there. */
  moved(): void {
    this.#saved--;
  }
}
