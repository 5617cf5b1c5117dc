/** Whether requests and answers go where they end sooner, although somebody is at them already. */
export type MoveSetting = "on" | "off";

/** Part of the requests whose running answer may go elsewhere, and how many can be saved up. */
const SHARE = 0.05;
const MOST_SAVED = 5;
/**
 * Of the last 20 requests to one no more than 8 are taken back: a node makes a peer wait that breaks off 10 of
 * what it asked last (`AbortPace`), since it cannot tell a better place from tricks.
 */
const REMEMBERED = 20;
const MOST_BACK = 8;
/** Those of whom it is remembered. */
const MOST_KNOWN = 4_096;
/** There is no look for a better place sooner after the last one of any request, in milliseconds: each looks at many. */
const APART_MS = 5;

/** How often requests and answers may go elsewhere. Bounded; what it counts is this node's own. */
export class Moves {
  readonly #clock: () => number;
  readonly #setting: MoveSetting;
  /** Of the last requests to each, whether they were taken back; the one that was asked last comes last. */
  readonly #known = new Map<string, ("kept" | "taken back")[]>();
  #saved = 1;
  #lookedAt = -Infinity;

  /** Makes one that has counted nothing. The clock is monotonic, in milliseconds. */
  constructor(
    { setting = "on", clock = () => performance.now() }: { setting?: MoveSetting; clock?: () => number } = {},
  ) {
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
    const last = this.#known.get(key) ?? [];
    last.push("kept");
    if (last.length > REMEMBERED) last.shift();
    this.#known.delete(key);
    this.#known.set(key, last);
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

  /** Whether a request may be taken back from one, be it from its line or in the middle of its answer. */
  mayTakeBack(key: string): boolean {
    const last = this.#known.get(key) ?? [];
    return this.on && last.filter((one) => one === "taken back").length < MOST_BACK;
  }

  /** A request was taken back from one. */
  tookBack(key: string): void {
    const last = this.#known.get(key) ?? [];
    const kept = last.lastIndexOf("kept");
    // The latest one stands for it: that is remembered for longest.
    if (kept >= 0) last[kept] = "taken back";
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
