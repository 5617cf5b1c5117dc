/** Small changes to valid inputs: bytes, texts and JSON values. */
import type { Random } from "./random.ts";

/** Numbers at which something changes. */
const BOUNDARIES: readonly bigint[] = [
  ...[7n, 8n, 15n, 16n, 20n, 24n, 31n, 32n, 53n, 62n, 63n, 64n].flatMap((bits) => [
    (1n << bits) - 1n,
    1n << bits,
    (1n << bits) + 1n,
  ]),
  0n,
  1n,
  2n,
  3n,
  9n,
  12n,
  100_000n,
  100_001n,
];

const NUMBERS: readonly number[] = [
  0,
  -0,
  1,
  -1,
  2,
  0.5,
  1e400,
  -1e400,
  NaN,
  1e308,
  5e-324,
  2 ** 31,
  -(2 ** 31),
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  1_000,
  1_001,
  65_535,
  65_536,
  1e6,
  1e21,
];

/** Pieces of text that parsers have fallen for. */
const PIECES: readonly string[] = [
  "\0",
  "\n",
  "\r\n",
  "\r\n\r\n",
  "\t",
  " ",
  "\u00a0",
  "\u2028",
  "\u202e",
  "\ufeff",
  "\ud800",
  "\udfff",
  "\u0131",
  "\u212a",
  "\uff11",
  "e\u0301",
  "\u{1f4a9}",
  "\x7f",
  "%00",
  "%2e",
  "+",
  "-",
  "=",
  ":",
  ";",
  ",",
  ".",
  '"',
  "'",
  "\\",
  "/",
  "..",
  "{",
  "}",
  "[",
  "]",
  "null",
  "true",
  "NaN",
  "0x1",
  "1e3",
  "00",
  "-0",
  "__proto__",
  "constructor",
  "toString",
];

/** Changes one to six places of some bytes; `other` is a second valid input to take pieces from. */
export function mutateBytes(random: Random, bytes: Uint8Array, other: Uint8Array = bytes): Uint8Array<ArrayBuffer> {
  let out: Uint8Array<ArrayBuffer> = Uint8Array.from(bytes);
  for (let left = 1 + random.below(random.once(4) ? 6 : 2); left > 0; left--) out = changeBytes(random, out, other);
  return out;
}

function changeBytes(random: Random, bytes: Uint8Array<ArrayBuffer>, other: Uint8Array): Uint8Array<ArrayBuffer> {
  const at = random.below(bytes.length);
  const length = 1 + random.below(random.once(8) ? 64 : 8);
  switch (random.below(11)) {
    case 0:
    case 1:
      if (bytes.length > 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      return bytes;
    case 2:
      if (bytes.length > 0) bytes[at] = random.pick([0, 1, 2, 0x0a, 0x0d, 0x20, 0x22, 0x7f, 0x80, 0xc0, 0xff]);
      return bytes;
    case 3:
    case 4: {
      // A number of a field: a length, a count, an offset, a kind.
      const width = random.pick([1, 2, 4, 8]);
      let value = random.once(3) ? BigInt(random.next()) : random.pick(BOUNDARIES);
      const bigEndian = random.once(3);
      for (let i = 0; i < width && at + i < bytes.length; i++) {
        bytes[bigEndian ? at + width - 1 - i : at + i] = Number(value & 0xffn);
        value >>= 8n;
      }
      return bytes;
    }
    case 5:
      return splice(bytes, { at, remove: length, insert: new Uint8Array(0) });
    case 6:
      return splice(bytes, { at, remove: 0, insert: Uint8Array.from({ length }, () => random.next()) });
    case 7:
      return splice(bytes, {
        at,
        remove: 0,
        insert: bytes.subarray(random.below(bytes.length)).subarray(0, length * 4),
      });
    case 8: {
      const from = random.below(other.length);
      return splice(bytes, { at, remove: length, insert: other.subarray(from, from + length * 2) });
    }
    case 9:
      return bytes.slice(0, random.once(2) ? at : bytes.length - random.below(9));
    default:
      return splice(bytes, { at, remove: random.below(3), insert: new TextEncoder().encode(random.pick(PIECES)) });
  }
}

function splice(
  bytes: Uint8Array,
  { at, remove, insert }: { at: number; remove: number; insert: Uint8Array },
): Uint8Array<ArrayBuffer> {
  const kept = Math.min(bytes.length, at + remove);
  const out = new Uint8Array(at + insert.length + bytes.length - kept);
  out.set(bytes.subarray(0, at));
  out.set(insert, at);
  out.set(bytes.subarray(kept), at + insert.length);
  return out;
}

/** Changes one to four places of a text. */
export function mutateText(random: Random, text: string, other: string = text): string {
  let out = text;
  for (let left = 1 + random.below(random.once(3) ? 4 : 1); left > 0; left--) out = changeText(random, out, other);
  return out;
}

function changeText(random: Random, text: string, other: string): string {
  const at = random.below(text.length + 1);
  const [before, after] = [text.slice(0, at), text.slice(at)];
  switch (random.below(10)) {
    case 0:
      return before + after.slice(1 + random.below(3));
    case 1:
      return before + random.pick(PIECES) + after;
    case 2:
      return before + random.pick(PIECES) + after.slice(1);
    case 3:
      return before + String.fromCharCode(random.below(random.once(2) ? 128 : 65_536)) + after.slice(1);
    case 4:
      return before + after.slice(0, 1) + after;
    case 5:
      return after.length < 2 ? after : before + after.slice(1, 2) + after.slice(0, 1) + after.slice(2);
    case 6: {
      const code = (text.charCodeAt(at) || 65) ^ (1 << random.below(7));
      return before + String.fromCharCode(code) + after.slice(1);
    }
    case 7: {
      const number = [...text.matchAll(/\d+/g)].at(random.below(8));
      if (number === undefined) return text;
      const value = random.once(2)
        ? String(random.pick(BOUNDARIES))
        : String(BigInt(number[0]) + BigInt(random.below(3) - 1));
      return text.slice(0, number.index) + value + text.slice(number.index + number[0].length);
    }
    case 8: {
      const from = random.below(other.length);
      const length = 1 + random.below(12);
      return before + other.slice(from, from + length) + after.slice(random.once(2) ? length : 0);
    }
    default:
      return random.once(2)
        ? before
        : before + (random.once(2) ? after.slice(0, 9).toUpperCase() : after.slice(0, 9).toLowerCase()) +
          after.slice(9);
  }
}

/** Changes one to three parts of a JSON value, which is left alone; `names` are keys that mean something. */
export function mutateJson(random: Random, value: unknown, names: readonly string[]): unknown {
  let out = structuredClone(value);
  for (let left = 1 + random.below(random.once(3) ? 3 : 1); left > 0; left--) out = changeJson(random, out, names);
  return out;
}

function changeJson(random: Random, value: unknown, names: readonly string[]): unknown {
  if (typeof value === "object" && value !== null) {
    const keys = Object.keys(value);
    const key = keys.length === 0 ? undefined : random.pick(keys);
    // Mostly further down, where the fields are.
    if (key !== undefined && !random.once(3)) {
      const inner = (value as Record<string, unknown>)[key];
      define(value, key, changeJson(random, inner, names));
      return value;
    }
    switch (random.below(6)) {
      case 0:
        if (Array.isArray(value)) value.splice(Number(key ?? 0), 1);
        else if (key !== undefined) delete (value as Record<string, unknown>)[key];
        return value;
      case 1:
      case 2:
        if (Array.isArray(value)) value.push(random.once(2) && key !== undefined ? value[0] : anyJson(random, names));
        else define(value, random.once(5) ? random.pick(PIECES) : random.pick(names), anyJson(random, names));
        return value;
      case 3:
        if (key !== undefined && !Array.isArray(value)) {
          define(value, random.pick(names), (value as Record<string, unknown>)[key]);
        }
        return value;
      case 4:
        return random.once(2) ? [value] : { ...value };
      default:
        return anyJson(random, names);
    }
  }
  if (typeof value === "string" && !random.once(4)) return mutateText(random, value);
  if (typeof value === "number" && random.once(2)) return value + random.pick([-1, 1, 0.5, 1e9]);
  return anyJson(random, names);
}

/** Not an assignment: that would not make a field of the name `__proto__`. */
function define(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}

function anyJson(random: Random, names: readonly string[]): unknown {
  switch (random.below(9)) {
    case 0:
      return null;
    case 1:
      return random.once(2);
    case 2:
      return random.pick(NUMBERS);
    case 3:
      return random.next();
    case 4:
      return random.pick(PIECES);
    case 5:
      return random.pick(names);
    case 6:
      return [anyJson(random, names)];
    case 7:
      return "x".repeat(random.pick([63, 64, 65, 200, 201, 256, 257]));
    default: {
      const object = {};
      define(object, random.pick(names), anyJson(random, names));
      return object;
    }
  }
}
