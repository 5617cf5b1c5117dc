/** Finds stop texts in a stream of text, also where they lie across pieces, and keeps them out of it. */
export class StopFilter {
  readonly #stops: readonly string[];
  #held = "";
  /** The text that stopped, or undefined. */
  found: string | undefined;

  /** Makes a filter for some texts; empty ones stop nothing. */
  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop.length > 0);
  }

  /**
   * Takes a piece, and returns what may be shown now. An end that could become a stop text is held back. After
   * `stopped` there is nothing more to show.
   */
  push(piece: string): { text: string; stopped: boolean } {
    if (this.#stops.length === 0) return { text: piece, stopped: false };
    const text = this.#held + piece;
    const first = firstStop(text, this.#stops);
    if (first !== undefined) {
      this.#held = "";
      this.found = first.stop;
      return { text: text.slice(0, first.at), stopped: true };
    }
    const shown = text.length - Math.max(...this.#stops.map((stop) => overlap(text, stop)));
    this.#held = text.slice(shown);
    return { text: text.slice(0, shown), stopped: false };
  }

  /** What was held back, where no more comes. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }
}

/** Where the stop text begins that is complete first: so it does not matter how the text was cut into pieces. */
function firstStop(text: string, stops: readonly string[]): { at: number; stop: string } | undefined {
  let found: { at: number; end: number; stop: string } | undefined;
  for (const stop of stops) {
    const at = text.indexOf(stop);
    const end = at + stop.length;
    if (at >= 0 && (found === undefined || end < found.end || (end === found.end && at < found.at))) {
      found = { at, end, stop };
    }
  }
  return found;
}

/** The length of the longest end of `text` that is a beginning of `stop`, and not all of it. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(stop.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
