/** What was used last, up to a number of bytes and of things. */
export class ByteCache<Value extends { readonly bytes: number }> {
  readonly #most: { readonly bytes: number; readonly things: number };
  readonly #kept = new Map<string, Value>();
  #bytes = 0;

  /** Keeps at most so much. */
  constructor(most: { bytes: number; things: number }) {
    this.#most = most;
  }

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What is kept under a key, which counts as used. */
  get(key: string): Value | undefined {
    const found = this.#kept.get(key);
    if (found !== undefined) {
      this.#kept.delete(key);
      this.#kept.set(key, found);
    }
    return found;
  }

  /** Keeps a value, and forgets those that were not used for longest. What alone is too much is not kept. */
  set(key: string, value: Value): void {
    this.delete(key);
    if (value.bytes > this.#most.bytes / 4) return;
    this.#kept.set(key, value);
    this.#bytes += value.bytes;
    for (const [oldest, { bytes }] of this.#kept) {
      if (this.#bytes <= this.#most.bytes && this.#kept.size <= this.#most.things) return;
      this.#kept.delete(oldest);
      this.#bytes -= bytes;
    }
  }

  /** Forgets what is kept under a key. */
  delete(key: string): void {
    this.#bytes -= this.#kept.get(key)?.bytes ?? 0;
    this.#kept.delete(key);
  }
}
