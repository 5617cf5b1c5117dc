/** So many buckets, each 4 % above the one before, from a millisecond on: the last one begins after 17 days. */
const BUCKETS = 544;
const PER_LOG = 1 / Math.log(1.04);
const WORDS = BUCKETS / 32;
const NOWHERE = 65_535;

/**
 * Places 0, 1, 2, … in buckets by their scores in milliseconds, smaller is better. To put, to remove and to find the best
 * take the same time however many there are.
 */
export class Shelf {
  readonly #buckets: number[][] = Array.from({ length: BUCKETS }, () => []);
  /** One bit for each bucket that is not empty. */
  readonly #filled = new Uint32Array(WORDS);
  /** Of each place: its bucket, and where in the bucket it is. */
  #bucketOf = new Uint16Array(64).fill(NOWHERE);
  #offsetOf = new Uint32Array(64);

  /** Gives a place its score, whether or not it had one. */
  put(place: number, ms: number): void {
    if (place >= this.#bucketOf.length) this.#grow(place);
    const bucket = ms <= 1 ? 0 : Math.min(BUCKETS - 1, Math.floor(Math.log(ms) * PER_LOG));
    if (this.#bucketOf[place] === bucket) return;
    this.remove(place);
    this.#add(place, bucket);
  }

  /** Takes a place out, where it is in. */
  remove(place: number): void {
    const bucket = this.#bucketOf[place] ?? NOWHERE;
    const inside = this.#buckets[bucket];
    const last = inside?.pop();
    if (inside === undefined || last === undefined) return;
    if (last !== place) {
      const offset = this.#offsetOf[place] ?? 0;
      inside[offset] = last;
      this.#offsetOf[last] = offset;
    }
    this.#bucketOf[place] = NOWHERE;
    if (inside.length === 0) this.#filled[bucket >> 5] = (this.#filled[bucket >> 5] ?? 0) & ~(1 << (bucket & 31));
  }

  /** What was known as one place is another one now, which is free. */
  rename(from: number, to: number): void {
    const bucket = this.#bucketOf[from] ?? NOWHERE;
    if (bucket === NOWHERE) return;
    this.remove(from);
    this.#add(to, bucket);
  }

  /** So many places out of the best buckets; of the last of these, by chance. */
  best(most: number, random: () => number): number[] {
    const found: number[] = [];
    for (let word = 0; word < WORDS; word++) {
      // The lowest bit first.
      for (let bits = this.#filled[word] ?? 0; bits !== 0; bits &= bits - 1) {
        const inside = this.#buckets[word * 32 + 31 - Math.clz32(bits & -bits)] ?? [];
        const wanted = Math.min(most - found.length, inside.length);
        const first = wanted === inside.length ? 0 : Math.floor(random() * inside.length);
        for (let index = 0; index < wanted; index++) {
          const place = inside[(first + index) % inside.length];
          if (place !== undefined) found.push(place);
        }
        if (found.length >= most) return found;
      }
    }
    return found;
  }

  #add(place: number, bucket: number): void {
    const inside = this.#buckets[bucket];
    if (inside === undefined) return;
    this.#bucketOf[place] = bucket;
    this.#offsetOf[place] = inside.push(place) - 1;
    this.#filled[bucket >> 5] = (this.#filled[bucket >> 5] ?? 0) | (1 << (bucket & 31));
  }

  #grow(place: number): void {
    const size = 2 * Math.max(place, this.#bucketOf.length);
    const buckets = new Uint16Array(size).fill(NOWHERE);
    buckets.set(this.#bucketOf);
    this.#bucketOf = buckets;
    const offsets = new Uint32Array(size);
    offsets.set(this.#offsetOf);
    this.#offsetOf = offsets;
  }
}
