/** Messages that are hashed at once: words of 32 bits in a vector. */
export const LANES = 4;
/** Bytes of each message that the program takes at once. */
export const PIECE_BYTES = 16 << 10;
/** Where what lies in the program's memory; at 0 the pieces, one behind the other. */
export const PLACES = {
  /** Eight vectors: the state. */
  state: LANES * PIECE_BYTES,
  /** 64 vectors: the constants, each in all lanes. */
  constants: LANES * PIECE_BYTES + 8 * 16,
};

/** FIPS 180-4: the first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
export const CONSTANTS: readonly number[] = fractions(64, Math.cbrt);
/** FIPS 180-4: those of the square roots of the first eight. */
export const INITIAL: readonly number[] = fractions(8, Math.sqrt);

function fractions(count: number, root: (prime: number) => number): number[] {
  const primes: number[] = [];
  for (let number = 2; primes.length < count; number++) {
    if (primes.every((prime) => number % prime !== 0)) primes.push(number);
  }
  return primes.map((prime) => Math.floor((root(prime) % 1) * 2 ** 32) >>> 0);
}

// Instructions of WebAssembly 2.0.
const LOCAL_GET = [0x20];
const LOCAL_SET = [0x21];
const LOCAL_TEE = [0x22];
const I32_CONST = 0x41;
const I32_ADD = 0x6a;
const I32_SUB = 0x6b;
const LOAD = [0xfd, 0x00];
const STORE = [0xfd, 0x0b];
const SHUFFLE = [0xfd, 0x0d];
const AND = [0xfd, 0x4e];
const XOR = [0xfd, 0x51];
const SHL = [0xfd, 0xab, 0x01];
const SHR = [0xfd, 0xad, 0x01];
const ADD = [0xfd, 0xae, 0x01];

const [COUNT, POINTER] = [0, 1];
/** Number of the first local that is a vector: the eight words of the state, then 16 words of the message, then the rest. */
const STATE = 2;
const WORDS = STATE + 8;
const [BEFORE, DIFFERENCE, SUM] = [WORDS + 16, WORDS + 17, WORDS + 18];
const ROWS = WORDS + 19;
const VECTORS = 8 + 16 + 3 + 4;

/** The program as it goes to `WebAssembly.Module`: exports `memory` and `blocks(count)`. */
export function laneProgram(): Uint8Array<ArrayBuffer> {
  const pages = Math.ceil((PLACES.constants + 64 * 16) / 65_536);
  const body = [2, 1, 0x7f, ...number(VECTORS), 0x7b, ...blocks(), 0x0b];
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    // One type, one function of it, the memory, the exports, the code.
    ...section(1, [1, 0x60, 1, 0x7f, 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, ...number(pages)]),
    ...section(7, [2, ...name("memory"), 2, 0, ...name("blocks"), 0, 0]),
    ...section(10, [1, ...number(body.length), ...body]),
  ]);
}

/** For each block: its words turned so that each vector has the same word of all lanes, and 64 rounds. */
function blocks(): number[] {
  const code: number[] = [0x03, 0x40];
  for (let at = 0; at < 8; at++) code.push(...load(at * 16 + PLACES.state, null), ...LOCAL_SET, STATE + at);
  for (let quarter = 0; quarter < 4; quarter++) code.push(...turned(quarter));
  for (let round = 0; round < 64; round++) {
    if (round >= 16) code.push(...nextWord(round));
    code.push(...oneRound(round));
  }
  for (let at = 0; at < 8; at++) {
    code.push(I32_CONST, 0, ...get(STATE + at), ...load(at * 16 + PLACES.state, null), ...ADD);
    code.push(...STORE, 4, ...number(at * 16 + PLACES.state));
  }
  code.push(...get(POINTER), I32_CONST, ...signed(64), I32_ADD, ...LOCAL_SET, POINTER);
  code.push(...get(COUNT), I32_CONST, 1, I32_SUB, ...LOCAL_TEE, COUNT, 0x0d, 0, 0x0b);
  return code;
}

/** Four words of all lanes: loaded by lanes, their bytes turned around, and the four by four turned. */
function turned(quarter: number): number[] {
  const code: number[] = [];
  for (let lane = 0; lane < LANES; lane++) {
    code.push(...load(lane * PIECE_BYTES + quarter * 16, POINTER), ...LOCAL_TEE, ROWS + lane, ...get(ROWS + lane));
    code.push(...SHUFFLE, ...words([0, 1, 2, 3]).map((byte) => byte ^ 3), ...LOCAL_SET, ROWS + lane);
  }
  const pairs = (left: number, right: number, order: number[]) => [
    ...get(ROWS + left),
    ...get(ROWS + right),
    ...SHUFFLE,
    ...words(order),
  ];
  const [low, high] = [[0, 4, 1, 5], [2, 6, 3, 7]];
  const target = WORDS + quarter * 4;
  code.push(...pairs(0, 1, low), ...LOCAL_SET, target, ...pairs(2, 3, low), ...LOCAL_SET, target + 1);
  code.push(...pairs(0, 1, high), ...LOCAL_SET, target + 2, ...pairs(2, 3, high), ...LOCAL_SET, target + 3);
  const halves = (from: number) => {
    for (const [row, order] of [[0, [0, 1, 4, 5]], [1, [2, 3, 6, 7]]] as const) {
      code.push(...get(from), ...get(from + 1), ...SHUFFLE, ...words(order), ...LOCAL_SET, ROWS + row);
    }
    code.push(...get(ROWS), ...LOCAL_SET, from, ...get(ROWS + 1), ...LOCAL_SET, from + 1);
  };
  halves(target);
  halves(target + 2);
  return code;
}

/** W[t] = s1(W[t - 2]) + W[t - 7] + s0(W[t - 15]) + W[t - 16], in the place of W[t - 16]. */
function nextWord(round: number): number[] {
  const word = (back: number) => WORDS + (round - back) % 16;
  return [
    ...[...get(word(16)), ...get(word(7)), ...ADD],
    ...[...mixed(word(15), [7, 18], 3), ...ADD],
    ...[...mixed(word(2), [17, 19], 10), ...ADD],
    ...[...LOCAL_SET, word(16)],
  ];
}

/** The names of the eight words move by one with each round, and not the words. */
function oneRound(round: number): number[] {
  const word = (place: number) => STATE + (place + 64 - round) % 8;
  const [a, b, c, d, e, f, g, h] = [0, 1, 2, 3, 4, 5, 6, 7].map(word) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return [
    // SUM = h + S1(e) + ch(e, f, g) + K + W
    ...[...get(h), ...load(PLACES.constants + round * 16, null), ...ADD, ...get(WORDS + round % 16), ...ADD],
    ...[...get(f), ...get(g), ...XOR, ...get(e), ...AND, ...get(g), ...XOR, ...ADD],
    ...[...mixed(e, [6, 11, 25], 0), ...ADD, ...LOCAL_SET, SUM],
    ...[...get(d), ...get(SUM), ...ADD, ...LOCAL_SET, d],
    // maj(a, b, c) = ((a ^ b) & (b ^ c)) ^ b, of which the second difference is the first one of the round before.
    ...[...(round === 0 ? [...get(b), ...get(c), ...XOR] : get(BEFORE)), ...get(a), ...get(b), ...XOR],
    ...[...LOCAL_TEE, DIFFERENCE, ...AND, ...get(b), ...XOR, ...get(DIFFERENCE), ...LOCAL_SET, BEFORE],
    ...[...mixed(a, [2, 13, 22], 0), ...ADD, ...get(SUM), ...ADD, ...LOCAL_SET, h],
  ];
}

/** A word turned to the right by each of some numbers, and shifted by one, all of it combined by exclusive or. */
function mixed(local: number, turns: readonly number[], shift: number): number[] {
  const terms = [
    ...turns.flatMap((by) => [[SHR, by], [SHL, 32 - by]] as const),
    ...shift > 0 ? [[SHR, shift] as const] : [],
  ];
  return terms.flatMap(([operation, by], at) => [
    ...[...get(local), I32_CONST, by, ...operation],
    ...at > 0 ? XOR : [],
  ]);
}

function get(local: number): number[] {
  return [...LOCAL_GET, local];
}

/** Loads a vector from a place, counted from a local or from the beginning. */
function load(place: number, from: number | null): number[] {
  return [...(from === null ? [I32_CONST, 0] : get(from)), ...LOAD, from === null ? 4 : 0, ...number(place)];
}

/** The bytes of some words of two vectors, for a shuffle. */
function words(order: readonly number[]): number[] {
  return order.flatMap((word) => [0, 1, 2, 3].map((byte) => word * 4 + byte));
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...number(content.length), ...content];
}

function name(text: string): number[] {
  return [text.length, ...new TextEncoder().encode(text)];
}

/** LEB128 without a sign. */
function number(value: number): number[] {
  return value < 128 ? [value] : [value % 128 + 128, ...number(Math.floor(value / 128))];
}

/** LEB128 of a small number that is not negative. */
function signed(value: number): number[] {
  return value < 64 ? [value] : [value % 128 + 128, ...signed(Math.floor(value / 128))];
}
