import { bodyHash, lineHash } from "./line_hash.ts";
import { type KnownTiles, knownTiles } from "./tree_edge.ts";

/** Lines of `audit.log` that are sound and follow each other. */
export interface CheckedLines {
  /** How many. */
  count: number;
  /** Number of the entry before the first one, as the first one says; -1 where it has none. */
  after: number;
  /** What the first one says is the hash before it. */
  prev: string;
  /** Hash of the last one. */
  hash: string;
  /** Hash of each as a leaf of the tree, one behind the other. */
  leaves: Uint8Array<ArrayBuffer>;
  /** What the tree has above those of them that fill tiles. */
  tiles: KnownTiles;
  /** Whether the database has the same entries, one by one; absent where that was not looked at. */
  sameRows?: boolean;
  /** How many quotation marks each has; 0 where it has a backslash, so that none of them can be told from the text's. */
  quotes: Uint8Array<ArrayBuffer>;
}

const LINE_FEED = 10;
const CLOSING_BRACE = 125;
const QUOTE = 34;
const BACKSLASH = 92;

/** The end of a line: `,"prev":"` 64 digits `","hash":"` 64 digits `"}`. */
const PREV_KEY = new TextEncoder().encode(',"prev":"');
const HASH_KEY = new TextEncoder().encode('","hash":"');
const TAIL = new TextEncoder().encode('"}');
const HASH_AT = 64 + TAIL.length;
const BODY_AT = HASH_AT + HASH_KEY.length - 1;
const PREV_AT = BODY_AT + 1 + 64;
const SHORTEST = PREV_AT + PREV_KEY.length;

const decoder = new TextDecoder("latin1");

/**
 * Checks whole lines, each with its line feed, by their bytes alone: that each has the hash of its own content, and names
 * the one before. That is the dear part of a verification, and this file is what runs it in a thread. Whether a line is
 * the entry that the database has is for the caller to compare.
 *
 * @param bytes Is the same afterwards.
 * @returns Null where anything is wrong, or there is no line; looking closer is for others.
 */
export function checkLines(bytes: Uint8Array): CheckedLines | null {
  const lines = countLines(bytes);
  const leaves = new Uint8Array(32 * lines);
  const quotes = new Uint8Array(lines);
  let count = 0;
  let prev = "";
  let last = -1;
  let start = 0;
  for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, start)) {
    if (end - start < SHORTEST || !isFramed(bytes, end)) return null;
    leaves.set(lineHash(bytes.subarray(start, end)), 32 * count);
    // What is hashed is the line without its hash: the comma before that becomes the brace that closes it.
    const comma = end - BODY_AT;
    const kept = bytes[comma] as number;
    bytes[comma] = CLOSING_BRACE;
    const hash = bodyHash(bytes.subarray(start, comma + 1));
    bytes[comma] = kept;
    if (!isText(hash, { bytes, at: end - HASH_AT })) return null;
    if (last >= 0 && !isSame(bytes, { a: end - PREV_AT, b: last - HASH_AT })) return null;
    if (last < 0) prev = decoder.decode(bytes.subarray(end - PREV_AT, end - PREV_AT + 64));
    quotes[count] = countQuotes(bytes, { start, end });
    last = end;
    count++;
    start = end + 1;
  }
  if (count === 0 || start !== bytes.length) return null;
  const after = numberOf(bytes) - 1;
  return {
    count,
    after,
    prev,
    hash: decoder.decode(bytes.subarray(last - HASH_AT, last - HASH_AT + 64)),
    leaves,
    tiles: knownTiles(leaves, Math.max(0, after)),
    quotes,
  };
}

/** Number of the first line, or 0. */
function numberOf(bytes: Uint8Array): number {
  return Number(/^\{"seq":(\d{1,15}),/.exec(decoder.decode(bytes.subarray(0, 32)))?.[1] ?? 0);
}

function countLines(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) count++;
  return count;
}

/** The line of an entry has some 60: more than 255 is none. */
function countQuotes(bytes: Uint8Array, { start, end }: { start: number; end: number }): number {
  let quotes = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) quotes++;
    else if (byte === BACKSLASH) return 0;
  }
  return quotes > 255 ? 0 : quotes;
}

function isFramed(bytes: Uint8Array, end: number): boolean {
  return isAt(bytes, end - TAIL.length, TAIL) && isAt(bytes, end - HASH_AT - HASH_KEY.length, HASH_KEY) &&
    isAt(bytes, end - PREV_AT - PREV_KEY.length, PREV_KEY);
}

function isAt(bytes: Uint8Array, at: number, text: Uint8Array): boolean {
  for (let index = 0; index < text.length; index++) {
    if (bytes[at + index] !== text[index]) return false;
  }
  return true;
}

function isText(text: string, { bytes, at }: { bytes: Uint8Array; at: number }): boolean {
  for (let index = 0; index < text.length; index++) {
    if (bytes[at + index] !== text.charCodeAt(index)) return false;
  }
  return true;
}

function isSame(bytes: Uint8Array, { a, b }: { a: number; b: number }): boolean {
  for (let index = 0; index < 64; index++) {
    if (bytes[a + index] !== bytes[b + index]) return false;
  }
  return true;
}
