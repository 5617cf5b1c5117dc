/**
 * A model of some hundred megabytes with random weights and the fixture's tokenizer, so that a token takes as long as one
 * of a real model. What it writes makes no sense.
 */

const FIXTURE = "test/fixtures/arkling-9m-q4_0.gguf";
const SHAPE = {
  width: 1_024,
  inner: 4_096,
  heads: 16,
  keyHeads: 4,
  headWidth: 64,
  blocks: 18,
  vocabulary: 4_096,
  context: 4_096,
};
const ALIGNMENT = 32;
const LITTLE_ENDIAN = true;
const [F32, Q8_0] = [0, 8];
const BLOCK_WEIGHTS = 32;
const BLOCK_BYTES = 34;
/** 0.00027 as a half float: weights of about a fiftieth. */
const SCALE = 0x0c6d;

interface Tensor {
  name: string;
  dimensions: number[];
  type: number;
}

/** Writes the model, and returns the number of its parameters. */
export async function writeLargeModel(path: string): Promise<number> {
  const fixture = await Deno.readFile(FIXTURE);
  const pairs = patched(fixture.slice(24, endOfPairs(fixture)));
  const tensors = tensorsOf();
  using file = await Deno.open(path, { create: true, write: true, truncate: true });
  const header: number[] = [];
  const number = (value: number, bytes: number) => {
    for (let at = 0; at < bytes; at++) header.push(Math.floor(value / 2 ** (8 * at)) % 256);
  };
  header.push(...new TextEncoder().encode("GGUF"));
  number(3, 4);
  number(tensors.length, 8);
  number(new DataView(fixture.buffer).getUint32(16, LITTLE_ENDIAN), 8);
  for (const byte of pairs) header.push(byte);
  let offset = 0;
  for (const tensor of tensors) {
    number(tensor.name.length, 8);
    header.push(...new TextEncoder().encode(tensor.name));
    number(tensor.dimensions.length, 4);
    for (const dimension of tensor.dimensions) number(dimension, 8);
    number(tensor.type, 4);
    number(offset, 8);
    offset += Math.ceil(bytesOf(tensor) / ALIGNMENT) * ALIGNMENT;
  }
  while (header.length % ALIGNMENT !== 0) header.push(0);
  await write(file, Uint8Array.from(header));
  for (const tensor of tensors) {
    const size = Math.ceil(bytesOf(tensor) / ALIGNMENT) * ALIGNMENT;
    await write(file, tensor.type === F32 ? ones(size) : randomBlocks(size));
  }
  return tensors.reduce((sum, { dimensions }) => sum + dimensions.reduce((product, each) => product * each, 1), 0);
}

function tensorsOf(): Tensor[] {
  const { width, inner, heads, keyHeads, headWidth, blocks, vocabulary } = SHAPE;
  const matrix = (name: string, columns: number, rows: number) => ({ name, dimensions: [columns, rows], type: Q8_0 });
  const norm = (name: string) => ({ name, dimensions: [width], type: F32 });
  return [
    matrix("token_embd.weight", width, vocabulary),
    matrix("output.weight", width, vocabulary),
    norm("output_norm.weight"),
    ...Array.from({ length: blocks }, (_, block) => {
      const name = (part: string) => `blk.${block}.${part}.weight`;
      return [
        norm(name("attn_norm")),
        norm(name("ffn_norm")),
        matrix(name("attn_q"), width, heads * headWidth),
        matrix(name("attn_k"), width, keyHeads * headWidth),
        matrix(name("attn_v"), width, keyHeads * headWidth),
        matrix(name("attn_output"), heads * headWidth, width),
        matrix(name("ffn_gate"), width, inner),
        matrix(name("ffn_up"), width, inner),
        matrix(name("ffn_down"), inner, width),
      ];
    }).flat(),
  ];
}

function bytesOf({ dimensions, type }: Tensor): number {
  const count = dimensions.reduce((product, each) => product * each, 1);
  return type === F32 ? count * 4 : count / BLOCK_WEIGHTS * BLOCK_BYTES;
}

/** The metadata with other sizes: each is a key, the number 4 for the kind, and the value. */
function patched(pairs: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const { width, inner, heads, keyHeads, blocks, context } = SHAPE;
  const sizes: Record<string, number> = {
    "llama.context_length": context,
    "llama.embedding_length": width,
    "llama.block_count": blocks,
    "llama.feed_forward_length": inner,
    "llama.attention.head_count": heads,
    "llama.attention.head_count_kv": keyHeads,
  };
  const text = new TextDecoder("latin1").decode(pairs);
  const view = new DataView(pairs.buffer);
  for (const [key, value] of Object.entries(sizes)) {
    const at = text.indexOf(`${key}\x04\0\0\0`);
    if (at < 0) throw new Error(`The fixture has no ${key}`);
    view.setUint32(at + key.length + 4, value, LITTLE_ENDIAN);
  }
  return pairs;
}

/** Where the metadata ends: the first tensor's name follows. */
function endOfPairs(bytes: Uint8Array): number {
  const name = "token_embd.weight";
  const at = new TextDecoder("latin1").decode(bytes.subarray(0, 1 << 20)).indexOf(name);
  if (at < 0) throw new Error("The fixture's first tensor has another name");
  return at - 8;
}

function ones(size: number): Uint8Array {
  return new Uint8Array(new Float32Array(size / 4).fill(1).buffer);
}

function randomBlocks(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  for (let at = 0; at + BLOCK_BYTES <= size; at += BLOCK_BYTES) {
    bytes[at] = SCALE & 0xff;
    bytes[at + 1] = SCALE >> 8;
  }
  return bytes;
}

async function write(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
}
