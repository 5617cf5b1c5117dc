/**
 * SHA-256 without the way into the runtime and back, which costs several times the hashing of 65 bytes: a tree has one
 * such hash for every entry, and a check of a million entries has three million of them. `node:crypto` is the reference
 * that the tests hold it against.
 */

const FIRST_PRIMES = firstPrimes(64);
const ROUND = Int32Array.from(FIRST_PRIMES, (prime) => fraction(Math.cbrt(prime)));
const START = Int32Array.from(FIRST_PRIMES.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));

const schedule = new Int32Array(64);
const state = new Int32Array(8);
const last = new Uint8Array(128);

/** Hashes `bytes` from `start` to `end` behind `prefix`, of at most 63 bytes, and writes the 32 bytes to `out` at `at`. */
export function sha256Into(
  out: Uint8Array,
  at: number,
  { prefix = NONE, bytes, start = 0, end = bytes.length }: {
    prefix?: Uint8Array;
    bytes: Uint8Array;
    start?: number;
    end?: number;
  },
): void {
  state.set(START);
  const length = prefix.length + end - start;
  let from = start;
  if (prefix.length > 0) {
    // The first block is put together; where all fits into it, the padding below does that.
    if (length < 64) {
      last.set(prefix);
      copy(bytes, { from, to: end, into: last, at: prefix.length });
      return finish(out, at, { rest: length, length });
    }
    last.set(prefix);
    from += 64 - prefix.length;
    copy(bytes, { from: start, to: from, into: last, at: prefix.length });
    compress(last, 0);
  }
  for (; from + 64 <= end; from += 64) compress(bytes, from);
  copy(bytes, { from, to: end, into: last, at: 0 });
  finish(out, at, { rest: end - from, length });
}

const NONE = new Uint8Array(0);

function finish(out: Uint8Array, at: number, { rest, length }: { rest: number; length: number }): void {
  const padded = rest < 56 ? 64 : 128;
  last[rest] = 0x80;
  last.fill(0, rest + 1, padded);
  const bits = length * 8;
  const high = Math.floor(bits / 2 ** 32);
  for (let byte = 0; byte < 4; byte++) {
    last[padded - 1 - byte] = bits >>> (8 * byte);
    last[padded - 5 - byte] = high >>> (8 * byte);
  }
  compress(last, 0);
  if (padded === 128) compress(last, 64);
  for (let word = 0; word < 8; word++) {
    const value = state[word] ?? 0;
    const to = at + 4 * word;
    out[to] = value >>> 24;
    out[to + 1] = value >>> 16;
    out[to + 2] = value >>> 8;
    out[to + 3] = value;
  }
}

function copy(
  bytes: Uint8Array,
  { from, to, into, at }: { from: number; to: number; into: Uint8Array; at: number },
): void {
  for (let index = from; index < to; index++) into[at + index - from] = bytes[index] ?? 0;
}

function compress(bytes: Uint8Array, offset: number): void {
  const w = schedule;
  for (let i = 0; i < 16; i++) {
    const at = offset + 4 * i;
    w[i] = byteAt(bytes, at) << 24 | byteAt(bytes, at + 1) << 16 | byteAt(bytes, at + 2) << 8 | byteAt(bytes, at + 3);
  }
  for (let i = 16; i < 64; i++) {
    const x = wordAt(w, i - 15);
    const y = wordAt(w, i - 2);
    const s0 = (x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3;
    const s1 = (y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10;
    w[i] = wordAt(w, i - 16) + s0 + wordAt(w, i - 7) + s1 | 0;
  }
  let a = wordAt(state, 0);
  let b = wordAt(state, 1);
  let c = wordAt(state, 2);
  let d = wordAt(state, 3);
  let e = wordAt(state, 4);
  let f = wordAt(state, 5);
  let g = wordAt(state, 6);
  let h = wordAt(state, 7);
  for (let i = 0; i < 64; i++) {
    const s1 = (e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7);
    const t1 = h + s1 + (e & f ^ ~e & g) + wordAt(ROUND, i) + wordAt(w, i) | 0;
    const s0 = (a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10);
    const t2 = s0 + (a & b ^ a & c ^ b & c) | 0;
    h = g;
    g = f;
    f = e;
    e = d + t1 | 0;
    d = c;
    c = b;
    b = a;
    a = t1 + t2 | 0;
  }
  state[0] = wordAt(state, 0) + a;
  state[1] = wordAt(state, 1) + b;
  state[2] = wordAt(state, 2) + c;
  state[3] = wordAt(state, 3) + d;
  state[4] = wordAt(state, 4) + e;
  state[5] = wordAt(state, 5) + f;
  state[6] = wordAt(state, 6) + g;
  state[7] = wordAt(state, 7) + h;
}

function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] as number;
}

function wordAt(words: Int32Array, index: number): number {
  return words[index] as number;
}

/** The first 32 bits behind the point, which is how the standard makes its constants. */
function fraction(value: number): number {
  return (value - Math.floor(value)) * 2 ** 32 | 0;
}

function firstPrimes(count: number): number[] {
  const primes: number[] = [];
  for (let candidate = 2; primes.length < count; candidate++) {
    if (primes.every((prime) => candidate % prime !== 0)) primes.push(candidate);
  }
  return primes;
}
