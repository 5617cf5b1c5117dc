import { type ByteSource, GgufReader } from "./gguf_reader.ts";
import { tensorType } from "./tensor_type.ts";

/** Limits of {@linkcode parseGgufHeader}, from `design/trust.md` T19. Bytes and counts. */
export const GGUF_LIMITS = {
  /** Most tensors. */
  tensors: 100_000,
  /** Most key-value pairs. */
  pairs: 100_000,
  /** Longest key, in bytes (the format's own limit). */
  keyBytes: 65_535,
  /** Longest text, in bytes: 1 MiB. */
  textBytes: 1 << 20,
  /** Longest name of a tensor, in bytes (llama.cpp's own limit). */
  tensorNameBytes: 63,
  /** All of the header, in bytes: 64 MiB. */
  headerBytes: 64 << 20,
  /** Most dimensions of a tensor. */
  dimensions: 4,
  /** Largest alignment of the tensors' data, in bytes. */
  alignment: 1 << 16,
  /** Longest text that is kept, in bytes; a longer one is checked and left out. */
  keptTextBytes: 1 << 10,
  /** Longest chat template that is kept, in bytes. */
  keptTemplateBytes: 128 << 10,
} as const;

/** A single value of a GGUF file's metadata. */
export type GgufScalar = string | number | bigint | boolean;

/** What a GGUF file says about itself before its tensors' data begin. */
export interface GgufHeader {
  /** Version of the format: 2 or 3. */
  version: number;
  /** Single values by their key. Arrays and long texts but for the chat template are checked and left out. */
  metadata: ReadonlyMap<string, GgufScalar>;
  /** Number of tensors. */
  tensorCount: number;
  /** Names of the tensors. */
  tensors: ReadonlySet<string>;
  /** Elements of all tensors by the name of their type, such as `q4_0`. */
  elementsByType: ReadonlyMap<string, number>;
  /** Elements of all tensors together: the model's parameters. */
  parameterCount: number;
  /** Where the tensors' data begin, in bytes. */
  dataOffset: number;
}

/** Options of {@linkcode readGgufHeader}. */
export interface ReadGgufHeaderOptions {
  /** Ends the reading early. */
  signal?: AbortSignal;
}

/**
 * Reads the header of a GGUF file in bounded chunks.
 *
 * @throws {SyntaxError} with one sentence on what is wrong with the file.
 * @throws whatever opening or reading the file throws.
 */
export async function readGgufHeader(path: string, { signal }: ReadGgufHeaderOptions = {}): Promise<GgufHeader> {
  using file = await Deno.open(path);
  const { size } = await file.stat();
  const source = {
    read(buffer: Uint8Array) {
      signal?.throwIfAborted();
      return file.read(buffer);
    },
  };
  return await parseGgufHeader(source, size);
}

/**
 * Parses a GGUF header. `size` is the size of the whole file, which no tensor may pass.
 *
 * @throws {SyntaxError} with one sentence on what is wrong with the file.
 */
export async function parseGgufHeader(source: ByteSource, size: number): Promise<GgufHeader> {
  const reader = new GgufReader(source, Math.min(size, GGUF_LIMITS.headerBytes));
  if (size < 24) throw new SyntaxError("The file is too short for a GGUF file");
  await reader.need(24);
  if (reader.text(4) !== "GGUF") throw new SyntaxError("The file is not a GGUF file: it does not begin with GGUF");
  const version = reader.u32();
  if (version !== 2 && version !== 3) throw new SyntaxError(`The file's GGUF version ${version} is not 2 or 3`);
  const tensorCount = atMost(reader.count(), GGUF_LIMITS.tensors, "tensors");
  const pairCount = atMost(reader.count(), GGUF_LIMITS.pairs, "key-value pairs");
  const metadata = await readMetadata(reader, pairCount);
  const alignment = alignmentOf(metadata);
  const { elementsByType, names, end } = await readTensors(reader, tensorCount, { alignment, size });
  const dataOffset = Math.ceil(reader.position / alignment) * alignment;
  if (tensorCount > 0 && dataOffset + end > size) {
    throw new SyntaxError(
      `The file ends before its tensors do (${dataOffset + end - size} bytes are missing): it is incomplete or damaged`,
    );
  }
  let parameterCount = 0;
  for (const elements of elementsByType.values()) parameterCount += elements;
  return { version, metadata, tensorCount, tensors: names, elementsByType, parameterCount, dataOffset };
}

/** Key of the one text that may be long and is kept. */
const CHAT_TEMPLATE = "tokenizer.chat_template";

/** Numbers of the kinds of values in metadata that are no scalars. */
const TEXT = 8;
const ARRAY = 9;

/** Kinds of scalars by their number: bytes, and how to take one. */
const SCALARS: Readonly<Record<number, readonly [number, (reader: GgufReader) => GgufScalar]>> = {
  0: [1, (reader) => reader.u8()],
  1: [1, (reader) => reader.i8()],
  2: [2, (reader) => reader.u16()],
  3: [2, (reader) => reader.i16()],
  4: [4, (reader) => reader.u32()],
  5: [4, (reader) => reader.i32()],
  6: [4, (reader) => reader.f32()],
  7: [1, takeBoolean],
  10: [8, (reader) => reader.u64()],
  11: [8, (reader) => reader.i64()],
  12: [8, (reader) => reader.f64()],
};

async function readMetadata(reader: GgufReader, count: number): Promise<Map<string, GgufScalar>> {
  const metadata = new Map<string, GgufScalar>();
  // A second value for a key could make the loader see another file than we do.
  const seen = new Set<string>();
  for (let i = 0; i < count; i++) {
    await reader.need(8);
    const length = atMost(reader.count(), GGUF_LIMITS.keyBytes, "bytes in a key");
    await reader.need(length + 4);
    const key = named(reader.text(length), "a key");
    if (seen.has(key)) throw new SyntaxError("The file's metadata has the same key twice");
    seen.add(key);
    const kept = key === CHAT_TEMPLATE ? GGUF_LIMITS.keptTemplateBytes : GGUF_LIMITS.keptTextBytes;
    const value = await readValue(reader, reader.u32(), kept);
    if (value !== undefined) metadata.set(key, value);
  }
  return metadata;
}

/** Takes one value; undefined for what is checked and not kept. */
async function readValue(reader: GgufReader, kind: number, kept: number): Promise<GgufScalar | undefined> {
  if (kind === TEXT) return await readText(reader, kept);
  if (kind === ARRAY) return await skipArray(reader);
  const [bytes, take] = scalar(kind);
  await reader.need(bytes);
  return take(reader);
}

async function readText(reader: GgufReader, kept: number): Promise<string | undefined> {
  await reader.need(8);
  const length = atMost(reader.count(), GGUF_LIMITS.textBytes, "bytes in a text");
  if (length > kept) {
    await reader.skip(length);
    return undefined;
  }
  await reader.need(length);
  return reader.text(length);
}

async function skipArray(reader: GgufReader): Promise<undefined> {
  await reader.need(12);
  const kind = reader.u32();
  const count = reader.count();
  if (kind !== TEXT) {
    const bytes = kind === ARRAY ? 0 : scalar(kind)[0];
    if (bytes === 0) throw new SyntaxError("The file's metadata has arrays of arrays, which GGUF does not allow");
    return void await reader.skip(count * bytes);
  }
  if (count * 8 > reader.remaining) throw new SyntaxError("The file's metadata has an array that passes its end");
  for (let i = 0; i < count; i++) {
    if (!reader.has(8)) await reader.need(8);
    const length = atMost(reader.count(), GGUF_LIMITS.textBytes, "bytes in a text");
    if (reader.has(length)) reader.pass(length);
    else await reader.skip(length);
  }
}

function scalar(kind: number): readonly [number, (reader: GgufReader) => GgufScalar] {
  const found = Object.hasOwn(SCALARS, kind) ? SCALARS[kind] : undefined;
  if (found === undefined) throw new SyntaxError(`The file's metadata has a value of the unknown kind ${kind}`);
  return found;
}

function takeBoolean(reader: GgufReader): boolean {
  const byte = reader.u8();
  if (byte > 1) throw new SyntaxError("The file's metadata has a truth value that is neither 0 nor 1");
  return byte === 1;
}

function alignmentOf(metadata: ReadonlyMap<string, GgufScalar>): number {
  const alignment = metadata.get("general.alignment") ?? 32;
  if (
    typeof alignment !== "number" || alignment < 8 || alignment > GGUF_LIMITS.alignment ||
    (alignment & (alignment - 1)) !== 0
  ) throw new SyntaxError("The file's alignment is not a power of two from 8 to 65536");
  return alignment;
}

async function readTensors(
  reader: GgufReader,
  count: number,
  { alignment, size }: { alignment: number; size: number },
): Promise<{ elementsByType: Map<string, number>; names: Set<string>; end: number }> {
  const elementsByType = new Map<string, number>();
  const names = new Set<string>();
  let end = 0;
  let total = 0;
  for (let i = 0; i < count; i++) {
    if (!reader.has(8)) await reader.need(8);
    const length = atMost(reader.count(), GGUF_LIMITS.tensorNameBytes, "bytes in a tensor's name");
    await reader.need(length + 4);
    const name = named(reader.text(length), "a tensor");
    if (names.has(name)) throw new SyntaxError("The file has two tensors of the same name");
    names.add(name);
    const dimensions = atMost(reader.u32(), GGUF_LIMITS.dimensions, "dimensions in a tensor");
    await reader.need(dimensions * 8 + 12);
    const { type, elements, bytes } = takeShape(reader, dimensions);
    const offset = reader.count();
    if (offset % alignment !== 0) throw new SyntaxError("The file has a tensor that is not aligned");
    end = Math.max(end, safe(offset + bytes));
    // Data that tensors share would let the loader add up far more bytes than there are.
    total = safe(total + bytes);
    if (total > size) throw new SyntaxError("The file has tensors that lie over each other, or beyond its end");
    elementsByType.set(type, safe((elementsByType.get(type) ?? 0) + elements));
  }
  return { elementsByType, names, end };
}

function takeShape(reader: GgufReader, dimensions: number): { type: string; elements: number; bytes: number } {
  let elements = 1;
  let row = 1;
  for (let i = 0; i < dimensions; i++) {
    const length = reader.count();
    if (length === 0) throw new SyntaxError("The file has a tensor without elements");
    elements = safe(elements * length);
    if (i === 0) row = length;
  }
  const number = reader.u32();
  const type = tensorType(number);
  if (type === undefined) throw new SyntaxError(`The file has a tensor of the unknown type ${number}`);
  if (row % type.blockSize !== 0) throw new SyntaxError("The file has a tensor whose rows are not whole blocks");
  return { type: type.name, elements, bytes: safe(elements / type.blockSize * type.blockBytes) };
}

/** Passes a size on while it is exact; beyond 2^53 it is larger than any file anyway. */
function safe(value: number): number {
  if (!Number.isSafeInteger(value)) throw new SyntaxError("The file has a tensor that is too large for any file");
  return value;
}

/** A name as the loader sees it, too: in C it ends at a zero, and so might be another one's. */
function named(name: string, what: string): string {
  if (name === "" || name.includes("\0")) throw new SyntaxError(`The file has ${what} without a proper name`);
  return name;
}

function atMost(value: number, limit: number, what: string): number {
  if (value > limit) throw new SyntaxError(`The file states ${value} ${what}, more than the limit of ${limit}`);
  return value;
}
