import type { ZimSource } from "./zim_source.ts";

/** What stands at the beginning of a ZIM file. */
export interface ZimHeader {
  /** Version of the format: 5 or 6. */
  readonly major: number;
  /** From 6.1 on, articles, pictures and all else have one namespace. */
  readonly minor: number;
  /** Which file it is, in hex. */
  readonly uuid: string;
  /** Entries, redirects included. */
  readonly entryCount: number;
  /** Groups of bodies. */
  readonly clusterCount: number;
  /** Where the places of the entries stand, in the order of their paths. */
  readonly pathsAt: number;
  /** Where the entries are listed by title, or null where that is an entry itself. */
  readonly titlesAt: number | null;
  /** Where the places of the clusters stand. */
  readonly clustersAt: number;
  /** Number of the entry that is shown first, or null. */
  readonly mainEntry: number | null;
  /** Types of the entries. */
  readonly types: readonly string[];
}

/** First bytes of every ZIM file, as a number. */
const MAGIC = 72_173_914;
/** Bytes of the header. */
const HEADER_BYTES = 80;
const LITTLE_ENDIAN = true;
const NONE = 0xffff_ffff;
/** Most bytes of the list of types. */
const TYPES_BYTES = 64 << 10;
const MOST_TYPES = 2_000;

/**
 * Reads the header of a ZIM file (openZIM, version 5 and 6) and its list of types.
 *
 * @throws {SyntaxError} with one sentence.
 */
export async function readZimHeader(source: ZimSource): Promise<ZimHeader> {
  const bytes = await source.read(0, HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  const u32 = (at: number) => view.getUint32(at, LITTLE_ENDIAN);
  if (u32(0) !== MAGIC) throw new SyntaxError("It does not begin as a ZIM file does");
  const [major, minor] = [view.getUint16(4, LITTLE_ENDIAN), view.getUint16(6, LITTLE_ENDIAN)];
  if (major !== 5 && major !== 6) {
    throw new SyntaxError(`It is a ZIM file of version ${major}, and only 5 and 6 are known: fetch a newer file`);
  }
  const [entryCount, clusterCount] = [u32(24), u32(28)];
  const list = (at: number, each: number, count: number) => {
    const start = u64(view, at);
    if (start < HEADER_BYTES || start + each * count > source.size) {
      throw new SyntaxError("A list of it leads out of the file");
    }
    return start;
  };
  const titles = view.getBigUint64(40, LITTLE_ENDIAN);
  const hasTitles = titles >= BigInt(HEADER_BYTES) && titles + 4n * BigInt(entryCount) <= BigInt(source.size);
  const main = u32(64);
  return {
    major,
    minor,
    uuid: bytes.slice(8, 24).toHex(),
    entryCount,
    clusterCount,
    pathsAt: list(32, 8, entryCount),
    titlesAt: hasTitles ? Number(titles) : null,
    clustersAt: list(48, 8, clusterCount),
    mainEntry: main === NONE || main >= entryCount ? null : main,
    types: await readTypes(source, u64(view, 56)),
  };
}

async function readTypes(source: ZimSource, at: number): Promise<string[]> {
  const bytes = await source.read(at, Math.max(0, Math.min(TYPES_BYTES, source.size - at)));
  const types: string[] = [];
  for (let start = 0;;) {
    const end = bytes.indexOf(0, start);
    if (end < 0 || types.length > MOST_TYPES) throw new SyntaxError("Its list of types has no end");
    if (end === start) return types;
    types.push(new TextDecoder().decode(bytes.subarray(start, end)));
    start = end + 1;
  }
}

/**
 * A whole number of 64 bits.
 *
 * @throws {SyntaxError} where it is none that a place in a file can be.
 */
export function u64(view: DataView, at: number): number {
  const value = view.getBigUint64(at, LITTLE_ENDIAN);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new SyntaxError("A place in it is beyond the end of any file");
  return Number(value);
}
