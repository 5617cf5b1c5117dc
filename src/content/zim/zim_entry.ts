import type { ZimSource } from "./zim_source.ts";

/** One entry of a ZIM file: something that has a body, or that leads to another one. */
export interface ZimEntry {
  /** Number in the order of the paths. */
  readonly index: number;
  /** `C` for content, `M` for facts about the file, `W` for the main page; in old files `A` for articles, `I` for pictures. */
  readonly namespace: string;
  /** Path within its namespace. */
  readonly path: string;
  /** The bytes of that path, by which entries are in order. */
  readonly pathBytes: Uint8Array;
  /** Title, or the path where it has none. */
  readonly title: string;
  /** The bytes of that title, by which titles are in order. */
  readonly titleBytes: Uint8Array;
  /** Where its body is, where it leads, or null where it was removed. */
  readonly what: ZimBody | ZimRedirect | null;
}

/** Where the body of an entry is. */
export interface ZimBody {
  /** Which kind. */
  readonly kind: "body";
  /** Number of its type. */
  readonly type: number;
  /** Number of the cluster. */
  readonly cluster: number;
  /** Number of the body within it. */
  readonly blob: number;
}

/** An entry that stands for another one. */
export interface ZimRedirect {
  /** Which kind. */
  readonly kind: "redirect";
  /** Number of the other entry. */
  readonly to: number;
}

const LITTLE_ENDIAN = true;
const REDIRECT = 0xffff;
const LINK_TARGET = 0xfffe;
const DELETED = 0xfffd;
/** As much as nearly every entry has, and most that is read of one. */
const [USUAL_BYTES, MOST_BYTES] = [512, 16 << 10];

/**
 * Reads the entry that stands at some place.
 *
 * @throws {SyntaxError} where there is none.
 */
export async function readZimEntry(
  source: ZimSource,
  { at, index }: { at: number; index: number },
): Promise<ZimEntry> {
  for (const most of [USUAL_BYTES, MOST_BYTES]) {
    const bytes = await source.read(at, Math.max(0, Math.min(most, source.size - at)));
    const entry = parse(bytes, index);
    if (entry !== null) return entry;
  }
  throw new SyntaxError("An entry of it has no end");
}

/** Null where it goes on behind these bytes. */
function parse(bytes: Uint8Array<ArrayBuffer>, index: number): ZimEntry | null {
  if (bytes.length < 8) return null;
  const view = new DataView(bytes.buffer);
  const type = view.getUint16(0, LITTLE_ENDIAN);
  const start = type === LINK_TARGET || type === DELETED ? 8 : type === REDIRECT ? 12 : 16;
  if (bytes.length < start) return null;
  const pathEnd = bytes.indexOf(0, start);
  const titleEnd = pathEnd < 0 ? -1 : bytes.indexOf(0, pathEnd + 1);
  if (titleEnd < 0) return null;
  const pathBytes = bytes.subarray(start, pathEnd);
  const titleBytes = titleEnd === pathEnd + 1 ? pathBytes : bytes.subarray(pathEnd + 1, titleEnd);
  const decoder = new TextDecoder();
  return {
    index,
    namespace: String.fromCharCode(bytes[3] ?? 0),
    path: decoder.decode(pathBytes),
    pathBytes,
    title: decoder.decode(titleBytes),
    titleBytes,
    what: start === 8
      ? null
      : start === 12
      ? { kind: "redirect", to: view.getUint32(8, LITTLE_ENDIAN) }
      : { kind: "body", type, cluster: view.getUint32(8, LITTLE_ENDIAN), blob: view.getUint32(12, LITTLE_ENDIAN) },
  };
}
