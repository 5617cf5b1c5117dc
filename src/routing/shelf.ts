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

  /**
   * Different places, at most so many, chosen by chance out of the best `among` and those that are in one bucket with the
   * last of these.
   */
  best(most: number, { among, random }: { among: number; random: () => number }): number[] {
    let size = 0;
    for (let bucket = this.#next(0); bucket < BUCKETS && size < among; bucket = this.#next(bucket + 1)) {
      size += this.#buckets[bucket]?.length ?? 0;
    }
    const found: number[] = [];
    const wanted = Math.min(most, size);
    // One out of each of as many parts: different ones without a look at those that were chosen before.
    const part = size / Math.max(1, wanted);
    let bucket = this.#next(0);
    let before = 0;
    for (let index = 0; index < wanted; index++) {
      const lowest = Math.floor(index * part);
      const rank = lowest + Math.floor(random() * (Math.floor((index + 1) * part) - lowest));
      let inside = this.#buckets[bucket] ?? [];
      while (rank - before >= inside.length && bucket < BUCKETS) {
        before += inside.length;
        bucket = this.#next(bucket + 1);
        inside = this.#buckets[bucket] ?? [];
      }
      const place = inside[rank - before];
      if (place !== undefined) found.push(place);
    }
    return found;
  }

  #next(bucket: number): number {
    let word = bucket >> 5;
    let bits = word < WORDS ? (this.#filled[word] ?? 0) & (-1 << (bucket & 31)) : 0;
    while (bits === 0) {
      if (++word >= WORDS) return BUCKETS;
      bits = this.#filled[word] ?? 0;
    }
    return word * 32 + 31 - Math.clz32(bits & -bits);
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
