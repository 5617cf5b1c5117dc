/** Numbers that look random and are the same for the same seed (sfc32). */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** Starts anew for a seed. */
  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = Math.imul(seed, 0x9e3779b9) | 0;
    this.#c = 0x6a09e667;
    for (let i = 0; i < 12; i++) this.next();
  }

  /** The next 32 bits. */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter++) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum | 0;
    return sum >>> 0;
  }

  /** A whole number from 0 to below `limit`; 0 where there is none. */
  below(limit: number): number {
    return limit <= 0 ? 0 : Math.floor(this.next() / 0x100000000 * limit);
  }

  /** Whether something that happens once in `count` times happens now. */
  once(count: number): boolean {
    return this.below(count) === 0;
  }

  /** One of a list. */
  pick<T>(list: readonly T[]): T {
    const item = list[this.below(list.length)];
    if (item === undefined && list.length === 0) throw new RangeError("There is nothing to pick from");
    return item as T;
  }
}
