/** A piece of the file between two line feeds. */
export interface JournalLine {
  /** The text without its line feed; empty where it is no UTF-8 or longer than any entry. */
  text: string;
  /** Offset of its first byte. */
  start: number;
  /** Offset behind its line feed. */
  end: number;
  /** Whether it ends in a line feed. Only the last line can lack it. */
  whole: boolean;
}

const CHUNK_BYTES = 64 << 10;

/** Longer than the line of any entry, in bytes. */
export const LINE_BYTES = 16 << 10;

const LINE_FEED = 10;

/**
 * Reads the lines of a file from an offset on, with bounded memory. The last one may not be whole; a line that is
 * longer than any entry is taken as reaching to the end of the file. A file that is not there has no lines.
 */
export async function* journalLines(path: string, offset: number): AsyncGenerator<JournalLine> {
  using file = await openIfThere(path);
  if (file === undefined) return;
  await file.seek(offset, Deno.SeekMode.Start);
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const chunk = new Uint8Array(CHUNK_BYTES);
  let rest = new Uint8Array(0);
  let start = offset;
  for (let read = await file.read(chunk); read !== null; read = await file.read(chunk)) {
    const bytes = joined(rest, chunk.subarray(0, read));
    let from = 0;
    for (let feed = bytes.indexOf(LINE_FEED); feed >= 0; feed = bytes.indexOf(LINE_FEED, from)) {
      const end = start + feed + 1 - from;
      yield { text: decoded(decoder, bytes.subarray(from, feed)), start, end, whole: true };
      start = end;
      from = feed + 1;
    }
    rest = bytes.slice(from);
    if (rest.length > LINE_BYTES) {
      yield { text: "", start, end: (await file.stat()).size, whole: false };
      return;
    }
  }
  if (rest.length > 0) yield { text: decoded(decoder, rest), start, end: start + rest.length, whole: false };
}

/**
 * Reads whole lines, with their line feeds, some `most` bytes at a time. It ends where a line is not whole or longer than
 * any entry.
 */
export async function* lineChunks(path: string, most: number): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  using file = await openIfThere(path);
  if (file === undefined) return;
  let rest = new Uint8Array(0);
  for (;;) {
    const chunk = new Uint8Array(rest.length + most);
    chunk.set(rest);
    const read = await file.read(chunk.subarray(rest.length));
    if (read === null) return;
    const bytes = chunk.subarray(0, rest.length + read);
    const end = bytes.lastIndexOf(LINE_FEED) + 1;
    if (end > 0) yield bytes.slice(0, end);
    rest = bytes.slice(end);
    if (rest.length > LINE_BYTES) return;
  }
}

async function openIfThere(path: string): Promise<Deno.FsFile | undefined> {
  try {
    return await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function joined(head: Uint8Array, tail: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(head.length + tail.length);
  bytes.set(head);
  bytes.set(tail, head.length);
  return bytes;
}

function decoded(decoder: TextDecoder, bytes: Uint8Array): string {
  if (bytes.length > LINE_BYTES) return "";
  try {
    return decoder.decode(bytes);
  } catch {
    return "";
  }
}
