/**
 * Tiny BERT models with random weights, as GGUF: one turns texts into vectors, the other, with a head for it, puts
 * documents in order. What they say means nothing, and is the same each time. Their words are letters.
 */

/** Numbers of a vector. */
export const BERT_DIMENSIONS = 32;
/** Tokens of context. */
export const BERT_CONTEXT = 64;

const FEED_FORWARD = 64;
const LAYERS = 2;
const LETTERS = [..."abcdefghijklmnopqrstuvwxyz0123456789.,?!<>[]|-_"];
const TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...LETTERS.map((letter) => `▁${letter}`), ...LETTERS];
const LITTLE_ENDIAN = true;

/** The file of a model. */
export function bertModel({ rank, name = "bert" }: { rank: boolean; name?: string }): Uint8Array<ArrayBuffer> {
  const writer = new GgufWriter();
  writer.text("general.architecture", "bert");
  writer.text("general.name", name);
  writer.text("general.basename", name);
  writer.number("bert.context_length", BERT_CONTEXT);
  writer.number("bert.embedding_length", BERT_DIMENSIONS);
  writer.number("bert.block_count", LAYERS);
  writer.number("bert.feed_forward_length", FEED_FORWARD);
  writer.number("bert.attention.head_count", 2);
  writer.float("bert.attention.layer_norm_epsilon", 1e-12);
  writer.flag("bert.attention.causal", { value: false });
  writer.number("bert.pooling_type", rank ? 4 : 1);
  writer.text("tokenizer.ggml.model", "bert");
  writer.texts("tokenizer.ggml.tokens", TOKENS);
  writer.numbers("tokenizer.ggml.token_type", TOKENS.map((_, token) => token < 5 ? 3 : 1));
  writer.number("tokenizer.ggml.token_type_count", 2);
  for (
    const [key, token] of Object.entries({ padding: 0, unknown: 1, cls: 2, bos: 2, eos: 3, seperator: 3, mask: 4 })
  ) {
    writer.number(`tokenizer.ggml.${key}_token_id`, token);
  }
  writer.tensor("token_embd.weight", [BERT_DIMENSIONS, TOKENS.length]);
  writer.tensor("token_types.weight", [BERT_DIMENSIONS, 2]);
  writer.tensor("position_embd.weight", [BERT_DIMENSIONS, BERT_CONTEXT]);
  writer.norm("token_embd_norm", BERT_DIMENSIONS);
  for (let layer = 0; layer < LAYERS; layer++) {
    const block = `blk.${layer}`;
    for (const part of ["attn_q", "attn_k", "attn_v", "attn_output"]) {
      writer.linear(`${block}.${part}`, [BERT_DIMENSIONS, BERT_DIMENSIONS]);
    }
    writer.norm(`${block}.attn_output_norm`, BERT_DIMENSIONS);
    writer.linear(`${block}.ffn_up`, [BERT_DIMENSIONS, FEED_FORWARD]);
    writer.linear(`${block}.ffn_down`, [FEED_FORWARD, BERT_DIMENSIONS]);
    writer.norm(`${block}.layer_output_norm`, BERT_DIMENSIONS);
  }
  if (rank) {
    writer.linear("cls", [BERT_DIMENSIONS, BERT_DIMENSIONS]);
    writer.linear("cls.output", [BERT_DIMENSIONS, 1]);
  }
  return writer.bytes();
}

/** Writes GGUF with tensors of float32. */
class GgufWriter {
  #pairs: number[] = [];
  #pairCount = 0;
  #tensors: number[] = [];
  #tensorCount = 0;
  #data: number[] = [];
  #state = 1;

  text(key: string, value: string): void {
    this.#pair(key, 8);
    put(this.#pairs, value);
  }

  number(key: string, value: number): void {
    this.#pair(key, 4);
    whole(this.#pairs, value, 4);
  }

  float(key: string, value: number): void {
    this.#pair(key, 6);
    const view = new DataView(new ArrayBuffer(4));
    view.setFloat32(0, value, LITTLE_ENDIAN);
    this.#pairs.push(...new Uint8Array(view.buffer));
  }

  flag(key: string, { value }: { value: boolean }): void {
    this.#pair(key, 7);
    this.#pairs.push(value ? 1 : 0);
  }

  texts(key: string, values: readonly string[]): void {
    this.#pair(key, 9);
    whole(this.#pairs, 8, 4);
    whole(this.#pairs, values.length, 8);
    for (const value of values) put(this.#pairs, value);
  }

  numbers(key: string, values: readonly number[]): void {
    this.#pair(key, 9);
    whole(this.#pairs, 5, 4);
    whole(this.#pairs, values.length, 8);
    for (const value of values) whole(this.#pairs, value, 4);
  }

  /** Random weights. */
  tensor(name: string, dimensions: readonly number[]): void {
    const count = dimensions.reduce((product, length) => product * length, 1);
    this.#tensor(name, dimensions, Array.from({ length: count }, () => this.#random()));
  }

  linear(name: string, [from, to]: [number, number]): void {
    this.tensor(`${name}.weight`, [from, to]);
    this.tensor(`${name}.bias`, [to]);
  }

  norm(name: string, length: number): void {
    this.#tensor(`${name}.weight`, [length], Array.from({ length }, () => 1));
    this.#tensor(`${name}.bias`, [length], Array.from({ length }, () => 0));
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const head = [...new TextEncoder().encode("GGUF")];
    whole(head, 3, 4);
    whole(head, this.#tensorCount, 8);
    whole(head, this.#pairCount, 8);
    const bytes = [...head, ...this.#pairs, ...this.#tensors];
    while (bytes.length % 32 !== 0) bytes.push(0);
    return Uint8Array.from([...bytes, ...new Uint8Array(new Float32Array(this.#data).buffer)]);
  }

  #pair(key: string, kind: number): void {
    this.#pairCount++;
    put(this.#pairs, key);
    whole(this.#pairs, kind, 4);
  }

  #tensor(name: string, dimensions: readonly number[], values: readonly number[]): void {
    this.#tensorCount++;
    put(this.#tensors, name);
    whole(this.#tensors, dimensions.length, 4);
    for (const length of dimensions) whole(this.#tensors, length, 8);
    whole(this.#tensors, 0, 4);
    whole(this.#tensors, this.#data.length * 4, 8);
    for (const value of values) this.#data.push(value);
    while (this.#data.length % 8 !== 0) this.#data.push(0);
  }

  #random(): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return (this.#state / 2 ** 32 - 0.5) * 0.6;
  }
}

function put(out: number[], text: string): void {
  const bytes = new TextEncoder().encode(text);
  whole(out, bytes.length, 8);
  out.push(...bytes);
}

function whole(out: number[], value: number, bytes: number): void {
  for (let at = 0; at < bytes; at++) out.push(at < 4 ? value >>> (8 * at) & 0xff : 0);
}
