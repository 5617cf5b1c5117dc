// deno-lint-ignore-file no-console
/** Times in milliseconds, and what they come to. */
export class Samples {
  readonly #values: number[] = [];

  /** Adds one. */
  add(ms: number): void {
    this.#values.push(ms);
  }

  /** The value below which a share of all lies. */
  at(share: number): number {
    const sorted = this.#values.toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
  }

  /** Half of all lie below it. */
  get median(): number {
    return this.at(0.5);
  }

  /** One in a hundred lies above it. */
  get p99(): number {
    return this.at(0.99);
  }
}

/** Prints a heading. */
export function heading(text: string): void {
  console.log(`\n${text}`);
}

/** Prints what was measured. */
export function row(name: string, samples: Samples): void {
  console.log(`  ${name.padEnd(46)} median ${samples.median.toFixed(3)} ms   p99 ${samples.p99.toFixed(3)} ms`);
}

/** Prints a result, with what it should be. */
export function result(name: string, value: string, goal?: string): void {
  console.log(`  ${name.padEnd(46)} ${value}${goal === undefined ? "" : `   (goal: ${goal})`}`);
}
