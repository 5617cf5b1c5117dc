/** Virtual time: what is to happen, in its order. No clock of the machine is read. */
export class Timeline {
  /** Now, in milliseconds. */
  now = 0;
  readonly #times: number[] = [];
  readonly #acts: (() => void)[] = [];

  /** Lets something happen at a time that is not past. */
  at(time: number, act: () => void): void {
    let place = this.#times.length;
    this.#times.push(time);
    this.#acts.push(act);
    while (place > 0) {
      const above = (place - 1) >> 1;
      const [higher = 0, its] = [this.#times[above], this.#acts[above]];
      if (higher <= time || its === undefined) break;
      this.#times[place] = higher;
      this.#acts[place] = its;
      place = above;
    }
    this.#times[place] = time;
    this.#acts[place] = act;
  }

  /** Lets something happen after some time. */
  after(ms: number, act: () => void): void {
    this.at(this.now + ms, act);
  }

  /** Lets everything happen until a time. */
  runUntil(end: number): void {
    for (;;) {
      const [time = Infinity] = this.#times;
      if (time > end) break;
      const act = this.#pop();
      this.now = time;
      act();
    }
    this.now = end;
  }

  #pop(): () => void {
    const [first = nothing] = this.#acts;
    const time = this.#times.pop() ?? 0;
    const act = this.#acts.pop() ?? nothing;
    const size = this.#times.length;
    if (size === 0) return first;
    let place = 0;
    for (;;) {
      let below = 2 * place + 1;
      if (below >= size) break;
      const [left = 0, right = Infinity] = [this.#times[below], this.#times[below + 1]];
      if (right < left && below + 1 < size) below++;
      const [lower = 0, its] = [this.#times[below], this.#acts[below]];
      if (lower >= time || its === undefined) break;
      this.#times[place] = lower;
      this.#acts[place] = its;
      place = below;
    }
    this.#times[place] = time;
    this.#acts[place] = act;
    return first;
  }
}

function nothing(): void {}
