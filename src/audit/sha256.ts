/**
 * SHA-256 without the way into the runtime and back, which costs several times the hashing of 65 bytes: a tree has one
 * such hash for every entry. `node:crypto` is the reference that the tests hold it against.
 */

const FIRST_PRIMES = firstPrimes(64);
const ROUND = Int32Array.from(FIRST_PRIMES, (prime) => fraction(Math.cbrt(prime)));
const START = Int32Array.from(FIRST_PRIMES.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));

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
  let w0 = wordOf(bytes, offset);
  let w1 = wordOf(bytes, offset + 4);
  let w2 = wordOf(bytes, offset + 8);
  let w3 = wordOf(bytes, offset + 12);
  let w4 = wordOf(bytes, offset + 16);
  let w5 = wordOf(bytes, offset + 20);
  let w6 = wordOf(bytes, offset + 24);
  let w7 = wordOf(bytes, offset + 28);
  let w8 = wordOf(bytes, offset + 32);
  let w9 = wordOf(bytes, offset + 36);
  let w10 = wordOf(bytes, offset + 40);
  let w11 = wordOf(bytes, offset + 44);
  let w12 = wordOf(bytes, offset + 48);
  let w13 = wordOf(bytes, offset + 52);
  let w14 = wordOf(bytes, offset + 56);
  let w15 = wordOf(bytes, offset + 60);
  let a = wordAt(state, 0);
  let b = wordAt(state, 1);
  let c = wordAt(state, 2);
  let d = wordAt(state, 3);
  let e = wordAt(state, 4);
  let f = wordAt(state, 5);
  let g = wordAt(state, 6);
  let h = wordAt(state, 7);
  // Sixteen rounds written out, with the schedule in variables and every word back in its place at the end: twice as fast
  // as a loop over single rounds that moves the words and keeps the schedule in an array.
  for (let i = 0; i < 64; i += 16) {
    if (i > 0) {
      w0 = w0 + spread0(w1) + w9 + spread1(w14) | 0;
      w1 = w1 + spread0(w2) + w10 + spread1(w15) | 0;
      w2 = w2 + spread0(w3) + w11 + spread1(w0) | 0;
      w3 = w3 + spread0(w4) + w12 + spread1(w1) | 0;
      w4 = w4 + spread0(w5) + w13 + spread1(w2) | 0;
      w5 = w5 + spread0(w6) + w14 + spread1(w3) | 0;
      w6 = w6 + spread0(w7) + w15 + spread1(w4) | 0;
      w7 = w7 + spread0(w8) + w0 + spread1(w5) | 0;
      w8 = w8 + spread0(w9) + w1 + spread1(w6) | 0;
      w9 = w9 + spread0(w10) + w2 + spread1(w7) | 0;
      w10 = w10 + spread0(w11) + w3 + spread1(w8) | 0;
      w11 = w11 + spread0(w12) + w4 + spread1(w9) | 0;
      w12 = w12 + spread0(w13) + w5 + spread1(w10) | 0;
      w13 = w13 + spread0(w14) + w6 + spread1(w11) | 0;
      w14 = w14 + spread0(w15) + w7 + spread1(w12) | 0;
      w15 = w15 + spread0(w0) + w8 + spread1(w13) | 0;
    }
    h = h + sigma1(e) + (g ^ e & (f ^ g)) + wordAt(ROUND, i) + w0 | 0;
    d = d + h | 0;
    h = h + sigma0(a) + (a & b ^ c & (a ^ b)) | 0;
    g = g + sigma1(d) + (f ^ d & (e ^ f)) + wordAt(ROUND, i + 1) + w1 | 0;
    c = c + g | 0;
    g = g + sigma0(h) + (h & a ^ b & (h ^ a)) | 0;
    f = f + sigma1(c) + (e ^ c & (d ^ e)) + wordAt(ROUND, i + 2) + w2 | 0;
    b = b + f | 0;
    f = f + sigma0(g) + (g & h ^ a & (g ^ h)) | 0;
    e = e + sigma1(b) + (d ^ b & (c ^ d)) + wordAt(ROUND, i + 3) + w3 | 0;
    a = a + e | 0;
    e = e + sigma0(f) + (f & g ^ h & (f ^ g)) | 0;
    d = d + sigma1(a) + (c ^ a & (b ^ c)) + wordAt(ROUND, i + 4) + w4 | 0;
    h = h + d | 0;
    d = d + sigma0(e) + (e & f ^ g & (e ^ f)) | 0;
    c = c + sigma1(h) + (b ^ h & (a ^ b)) + wordAt(ROUND, i + 5) + w5 | 0;
    g = g + c | 0;
    c = c + sigma0(d) + (d & e ^ f & (d ^ e)) | 0;
    b = b + sigma1(g) + (a ^ g & (h ^ a)) + wordAt(ROUND, i + 6) + w6 | 0;
    f = f + b | 0;
    b = b + sigma0(c) + (c & d ^ e & (c ^ d)) | 0;
    a = a + sigma1(f) + (h ^ f & (g ^ h)) + wordAt(ROUND, i + 7) + w7 | 0;
    e = e + a | 0;
    a = a + sigma0(b) + (b & c ^ d & (b ^ c)) | 0;
    h = h + sigma1(e) + (g ^ e & (f ^ g)) + wordAt(ROUND, i + 8) + w8 | 0;
    d = d + h | 0;
    h = h + sigma0(a) + (a & b ^ c & (a ^ b)) | 0;
    g = g + sigma1(d) + (f ^ d & (e ^ f)) + wordAt(ROUND, i + 9) + w9 | 0;
    c = c + g | 0;
    g = g + sigma0(h) + (h & a ^ b & (h ^ a)) | 0;
    f = f + sigma1(c) + (e ^ c & (d ^ e)) + wordAt(ROUND, i + 10) + w10 | 0;
    b = b + f | 0;
    f = f + sigma0(g) + (g & h ^ a & (g ^ h)) | 0;
    e = e + sigma1(b) + (d ^ b & (c ^ d)) + wordAt(ROUND, i + 11) + w11 | 0;
    a = a + e | 0;
    e = e + sigma0(f) + (f & g ^ h & (f ^ g)) | 0;
    d = d + sigma1(a) + (c ^ a & (b ^ c)) + wordAt(ROUND, i + 12) + w12 | 0;
    h = h + d | 0;
    d = d + sigma0(e) + (e & f ^ g & (e ^ f)) | 0;
    c = c + sigma1(h) + (b ^ h & (a ^ b)) + wordAt(ROUND, i + 13) + w13 | 0;
    g = g + c | 0;
    c = c + sigma0(d) + (d & e ^ f & (d ^ e)) | 0;
    b = b + sigma1(g) + (a ^ g & (h ^ a)) + wordAt(ROUND, i + 14) + w14 | 0;
    f = f + b | 0;
    b = b + sigma0(c) + (c & d ^ e & (c ^ d)) | 0;
    a = a + sigma1(f) + (h ^ f & (g ^ h)) + wordAt(ROUND, i + 15) + w15 | 0;
    e = e + a | 0;
    a = a + sigma0(b) + (b & c ^ d & (b ^ c)) | 0;
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

function wordOf(bytes: Uint8Array, at: number): number {
  return byteAt(bytes, at) << 24 | byteAt(bytes, at + 1) << 16 | byteAt(bytes, at + 2) << 8 | byteAt(bytes, at + 3);
}

function spread0(x: number): number {
  return (x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3;
}

function spread1(y: number): number {
  return (y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10;
}

function sigma0(a: number): number {
  return (a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10);
}

function sigma1(e: number): number {
  return (e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7);
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
