/** Writes small GGUF files for tests, right or wrong as asked. */

/** A value of the metadata with its kind as GGUF numbers it. */
export type Value =
  | { u32: number }
  | { text: string }
  | { bool: number }
  | { texts: string[] }
  | { u64: bigint }
  | { raw: Uint8Array };

/** A tensor as the header describes it. */
export interface Tensor {
  name: string;
  dimensions: (number | bigint)[];
  type: number;
  offset: number | bigint;
}

/** Everything of a file; `data` is the number of zero bytes after the header. */
export interface GgufParts {
  magic?: string;
  version?: number;
  pairs?: [string, Value][];
  tensors?: Tensor[];
  tensorCount?: bigint;
  pairCount?: bigint;
  data?: number;
  alignment?: number;
}

/** The metadata that every test model has. */
export const METADATA: [string, Value][] = [
  ["general.architecture", { text: "llama" }],
  ["general.basename", { text: "Tiny" }],
  ["general.size_label", { text: "1K" }],
  ["general.file_type", { u32: 0 }],
  ["llama.context_length", { u32: 64 }],
  ["llama.block_count", { u32: 2 }],
  ["tokenizer.ggml.tokens", { texts: ["a", "b", "<s>"] }],
];

/** The bytes of a file. */
export function ggufBytes(parts: GgufParts = {}): Uint8Array<ArrayBuffer> {
  const { magic = "GGUF", version = 3, pairs = METADATA, data = 4096, alignment = 32 } = parts;
  const { tensors = [{ name: "t", dimensions: [32, 2], type: 0, offset: 0 }] } = parts;
  const out: number[] = [...new TextEncoder().encode(magic)];
  number(out, version, 4);
  number(out, parts.tensorCount ?? tensors.length, 8);
  number(out, parts.pairCount ?? pairs.length, 8);
  for (const [key, value] of pairs) {
    text(out, key);
    pair(out, value);
  }
  for (const tensor of tensors) {
    text(out, tensor.name);
    number(out, tensor.dimensions.length, 4);
    for (const length of tensor.dimensions) number(out, length, 8);
    number(out, tensor.type, 4);
    number(out, tensor.offset, 8);
  }
  while (out.length % alignment !== 0) out.push(0);
  return new Uint8Array([...out, ...new Uint8Array(data)]);
}

function pair(out: number[], value: Value): void {
  if ("raw" in value) return void out.push(...value.raw);
  if ("u32" in value) return number(out, 4, 4), number(out, value.u32, 4);
  if ("u64" in value) return number(out, 10, 4), number(out, value.u64, 8);
  if ("bool" in value) return number(out, 7, 4), number(out, value.bool, 1);
  if ("text" in value) return number(out, 8, 4), text(out, value.text);
  number(out, 9, 4);
  number(out, 8, 4);
  number(out, value.texts.length, 8);
  for (const each of value.texts) text(out, each);
}

function text(out: number[], value: string): void {
  const bytes = new TextEncoder().encode(value);
  number(out, bytes.length, 8);
  for (const byte of bytes) out.push(byte);
}

function number(out: number[], value: number | bigint, bytes: number): void {
  const whole = BigInt(value);
  for (let i = 0; i < bytes; i++) out.push(Number(whole >> BigInt(8 * i) & 0xffn));
}
