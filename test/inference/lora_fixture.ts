/** An addition to the fixture `arkling-9m`, with random numbers: it changes what the model writes, to no purpose. */
import { ggufBytes } from "../models/gguf_bytes.ts";

const WIDTH = 256;
const RANK = 4;
const BLOCKS = 8;
const LITTLE_ENDIAN = true;

/** The bytes of a LoRA file; another one for each seed. */
export function loraBytes(seed: number): Uint8Array<ArrayBuffer> {
  const floats = WIDTH * RANK;
  const tensors = Array.from({ length: BLOCKS }, (_, block) => [
    { name: `blk.${block}.attn_q.weight.lora_a`, dimensions: [WIDTH, RANK] },
    { name: `blk.${block}.attn_q.weight.lora_b`, dimensions: [RANK, WIDTH] },
  ]).flat().map((tensor, index) => ({ ...tensor, type: 0, offset: index * floats * 4 }));
  const data = tensors.length * floats * 4;
  const bytes = ggufBytes({
    pairs: [
      ["general.architecture", { text: "llama" }],
      ["general.type", { text: "adapter" }],
      ["adapter.type", { text: "lora" }],
      ["adapter.lora.alpha", { raw: alpha(4) }],
    ],
    tensors,
    data,
  });
  const view = new DataView(bytes.buffer, bytes.length - data);
  let state = seed + 1;
  for (let at = 0; at < data; at += 4) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    view.setFloat32(at, (state / 2 ** 31 - 0.5) * 0.3, LITTLE_ENDIAN);
  }
  return bytes;
}

/** A float as GGUF writes it, with its kind. */
function alpha(value: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint32(0, 6, LITTLE_ENDIAN);
  view.setFloat32(4, value, LITTLE_ENDIAN);
  return new Uint8Array(view.buffer);
}
