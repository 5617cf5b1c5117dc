/** Time that passes when a test says so, and what is to happen in it. */
export class FakeTime {
  now = 0;
  readonly #acts = new Set<{ at: number; act: () => void }>();

  /** Does something later, unless what it returns is called before. */
  readonly later = (act: () => void, ms: number): () => void => {
    const entry = { at: this.now + Math.max(0, ms), act };
    this.#acts.add(entry);
    return () => void this.#acts.delete(entry);
  };

  /** What has not happened yet. */
  get waiting(): number {
    return this.#acts.size;
  }

  /** Lets time pass, and everything happen that belongs there. */
  pass(ms: number): void {
    for (const end = this.now + ms; this.now < end;) if (!this.next(end)) this.now = end;
  }

  /** Goes on to what is to happen next, where that is no later than `end`. */
  next(end: number): boolean {
    const [next] = [...this.#acts].sort((a, b) => a.at - b.at);
    if (next === undefined || next.at > end) return false;
    this.#acts.delete(next);
    this.now = next.at;
    next.act();
    return true;
  }
}
