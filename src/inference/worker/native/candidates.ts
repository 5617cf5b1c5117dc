import { LITTLE_ENDIAN, TOKEN_ARRAY_BYTES, TOKEN_ARRAY_FIELDS, TOKEN_DATA_WORDS } from "./layouts.ts";
import type { Libraries } from "./libraries.ts";
import { viewOf } from "./self_check.ts";

/** The tokens that samplers choose from, each with its score, where C reads and sorts them. */
export class Candidates {
  readonly #libraries: Libraries;
  readonly #words: ArrayBuffer;
  readonly #ids: Int32Array;
  readonly #scores: Float32Array;
  readonly #logits: Float32Array<ArrayBuffer>;
  readonly #array = new Uint8Array(new ArrayBuffer(TOKEN_ARRAY_BYTES));
  readonly #view = viewOf(this.#array);
  readonly #address: bigint;
  readonly #chosen = new ArrayBuffer(TOKEN_DATA_WORDS * 4);

  /** Makes room for the tokens of a vocabulary. */
  constructor(libraries: Libraries, size: number) {
    this.#libraries = libraries;
    this.#words = new ArrayBuffer(size * TOKEN_DATA_WORDS * 4);
    this.#ids = new Int32Array(this.#words);
    this.#scores = new Float32Array(this.#words);
    this.#logits = new Float32Array(size);
    this.#address = libraries.addressOf(this.#words);
  }

  /** The scores of all tokens, as the model gave them. They hold until the next call. */
  read(logits: Deno.PointerValue): Float32Array<ArrayBuffer> {
    this.#libraries.copy(new Uint8Array(this.#logits.buffer), logits);
    return this.#logits;
  }

  /** Takes the scores that were read last as candidates, all of them. */
  fill(): void {
    const { length } = this.#logits;
    for (let token = 0; token < length; token++) {
      const at = token * TOKEN_DATA_WORDS;
      this.#ids[at] = token;
      this.#scores[at + 1] = this.#logits[token] ?? 0;
      this.#scores[at + 2] = 0;
    }
    this.#describe(length);
  }

  /** Puts the candidates through a sampler. */
  apply(sampler: Deno.PointerValue): void {
    this.#libraries.llama.llama_sampler_apply(sampler, this.#array);
  }

  /** Whether a sampler leaves a token as a candidate. What was filled in is lost. */
  allows(sampler: Deno.PointerValue, token: number): boolean {
    this.#ids[0] = token;
    this.#scores[1] = 1;
    this.#scores[2] = 0;
    this.#describe(1);
    this.apply(sampler);
    return this.#scores[1] !== -Infinity;
  }

  /** The token that the last sampler chose, or null where none was possible. */
  get chosen(): number | null {
    const selected = this.#view.getBigInt64(TOKEN_ARRAY_FIELDS.selected, LITTLE_ENDIAN);
    if (selected < 0n) return null;
    // A sampler may have put its own array in the place of this one.
    const data = this.#view.getBigUint64(TOKEN_ARRAY_FIELDS.data, LITTLE_ENDIAN);
    this.#libraries.copy(new Uint8Array(this.#chosen), data + selected * BigInt(TOKEN_DATA_WORDS * 4));
    const view = new DataView(this.#chosen);
    return view.getFloat32(4, LITTLE_ENDIAN) === -Infinity ? null : view.getInt32(0, LITTLE_ENDIAN);
  }

  #describe(size: number): void {
    this.#view.setBigUint64(TOKEN_ARRAY_FIELDS.data, this.#address, LITTLE_ENDIAN);
    this.#view.setBigUint64(TOKEN_ARRAY_FIELDS.size, BigInt(size), LITTLE_ENDIAN);
    this.#view.setBigInt64(TOKEN_ARRAY_FIELDS.selected, -1n, LITTLE_ENDIAN);
    this.#view.setUint8(TOKEN_ARRAY_FIELDS.sorted, 0);
  }
}
