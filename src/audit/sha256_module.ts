/** Bytes of the module's memory. */
export const MEMORY_BYTES = 65_536;

/** Where the hash is written; before it lies the state. */
export const OUTPUT = 32;

const FIRST_PRIMES = firstPrimes(64);
const ROUND = Int32Array.from(FIRST_PRIMES, (prime) => fraction(Math.cbrt(prime)));

/** The state before the first block. */
export const START: Uint32Array = Uint32Array.from(FIRST_PRIMES.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));

const BLOCK = 0x02;
const LOOP = 0x03;
const END = 0x0b;
const BR = 0x0c;
const BR_IF = 0x0d;
const GET = 0x20;
const SET = 0x21;
const TEE = 0x22;
const LOAD = 0x28;
const STORE = 0x36;
const CONST = 0x41;
const EQZ = 0x45;
const ADD = 0x6a;
const SUB = 0x6b;
const AND = 0x71;
const OR = 0x72;
const XOR = 0x73;
const SHR = 0x76;
const ROTL = 0x77;
const ROTR = 0x78;

const I32 = 0x7f;
const NO_RESULT = 0x40;

/** Locals of `compress`: its two parameters, the eight working words, and the sixteen of the schedule. */
const AT = 0;
const BLOCKS = 1;
const WORK = 2;
const SCHEDULE = 10;

/** A module of WebAssembly that exports `memory`, `compress` and `finish`, as `sha256.ts` uses them. */
export function sha256Module(): Uint8Array<ArrayBuffer> {
  const functions = [functionOf(24, compress()), functionOf(1, finish())];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [2, 0x60, 2, I32, I32, 0, 0x60, 0, 0]),
    ...section(3, [2, 0, 1]),
    ...section(5, [1, 0, MEMORY_BYTES / 65_536]),
    ...section(7, [3, ...name("memory"), 2, 0, ...name("compress"), 0, 0, ...name("finish"), 0, 1]),
    ...section(10, [2, ...functions.flat()]),
  ]);
}

/** `compress(at, blocks)`: all 64 rounds are written out, and the words keep their places. */
function compress(): number[] {
  return [
    ...[BLOCK, NO_RESULT, LOOP, NO_RESULT],
    ...[GET, BLOCKS, EQZ, BR_IF, 1],
    ...times(16, (word) => [GET, AT, ...load(4 * word), SET, SCHEDULE + word, ...swapped(SCHEDULE + word)]),
    ...times(8, (word) => [...constant(0), ...load(4 * word), SET, WORK + word]),
    ...times(64, (index) => [...(index < 16 ? [] : schedule(index)), ...round(index)]),
    ...times(8, (word) => {
      const sum = [...constant(0), ...load(4 * word), GET, WORK + word, ADD];
      return [...constant(0), ...sum, ...store(4 * word)];
    }),
    ...[GET, AT, ...constant(64), ADD, SET, AT],
    ...[GET, BLOCKS, ...constant(1), SUB, SET, BLOCKS],
    ...[BR, 0, END, END],
  ];
}

/** `finish()`: the state's words with their highest byte first. */
function finish(): number[] {
  return times(8, (word) => {
    const [local, swap] = [0, swapped(0)];
    const value = [...constant(0), ...load(4 * word), SET, local, ...swap];
    return [...value, ...constant(0), GET, local, ...store(OUTPUT + 4 * word)];
  });
}

/** The next word of the schedule, in the place of the one sixteen before it. */
function schedule(index: number): number[] {
  const word = (offset: number) => SCHEDULE + (index + offset) % 16;
  const spread = (local: number, [first, second, shift]: [number, number, number]) => [
    ...turned(local, [first, second]),
    ...[GET, local, ...constant(shift), SHR, XOR],
  ];
  return [
    ...[GET, word(0), ...spread(word(1), [7, 18, 3]), ADD],
    ...[GET, word(9), ADD, ...spread(word(14), [17, 19, 10]), ADD],
    ...[SET, word(0)],
  ];
}

/** One round. Instead of moving the words, the next round takes them from one place further on. */
function round(index: number): number[] {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = Array.from(
    { length: 8 },
    (_, place) => WORK + (place - index % 8 + 8) % 8,
  );
  const choice = [GET, g, GET, e, GET, f, GET, g, XOR, AND, XOR];
  const majority = [GET, a, GET, b, AND, GET, c, GET, a, GET, b, XOR, AND, XOR];
  return [
    ...[GET, h, GET, SCHEDULE + index % 16, ...constant(ROUND[index] ?? 0), ADD, ADD],
    ...[...choice, ADD, ...turned(e, [6, 11, 25]), ADD, TEE, h],
    ...[GET, d, ADD, SET, d],
    ...[GET, h, ...majority, ADD, ...turned(a, [2, 13, 22]), ADD, SET, h],
  ];
}

/** A word turned to the right by each of these, put together by exclusive or. */
function turned(local: number, by: readonly number[]): number[] {
  return by.flatMap((bits, index) => [GET, local, ...constant(bits), ROTR, ...(index === 0 ? [] : [XOR])]);
}

/** Puts the bytes of a word the other way round. */
function swapped(local: number): number[] {
  return [
    ...[GET, local, ...constant(8), ROTL, ...constant(0x00ff00ff), AND],
    ...[GET, local, ...constant(8), ROTR, ...constant(0xff00ff00 | 0), AND],
    ...[OR, SET, local],
  ];
}

function times(count: number, part: (index: number) => number[]): number[] {
  return Array.from({ length: count }, (_, index) => part(index)).flat();
}

function load(offset: number): number[] {
  return [LOAD, 2, ...unsigned(offset)];
}

function store(offset: number): number[] {
  return [STORE, 2, ...unsigned(offset)];
}

function constant(value: number): number[] {
  return [CONST, ...signed(value)];
}

function functionOf(locals: number, code: number[]): number[] {
  const body = [1, ...unsigned(locals), I32, ...code, END];
  return [...unsigned(body.length), ...body];
}

function section(id: number, content: number[]): number[] {
  return [id, ...unsigned(content.length), ...content];
}

function name(text: string): number[] {
  return [text.length, ...new TextEncoder().encode(text)];
}

/** LEB128: seven bits of a number in each byte, the lowest first. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [value & 0x7f | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: number): number[] {
  const low = value & 0x7f;
  const rest = value >> 7;
  const isLast = rest === (low & 0x40 ? -1 : 0);
  return isLast ? [low] : [low | 0x80, ...signed(rest)];
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
