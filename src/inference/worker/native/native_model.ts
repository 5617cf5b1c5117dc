import {
  BATCH_BYTES,
  BATCH_FIELDS,
  CONTEXT_FIELDS,
  LITTLE_ENDIAN,
  MODEL_FIELDS,
  THREADPOOL_PARAMS_BYTES,
} from "./layouts.ts";
import { cString, type Libraries } from "./libraries.ts";
import { viewOf } from "./self_check.ts";

/** How a context is made. */
export interface ContextLayout {
  /** Tokens of context of each sequence. */
  contextSize: number;
  /** Sequences. */
  slots: number;
  /** Tokens that are computed at once, at most. */
  chunkTokens: number;
  /** Threads that compute. */
  threads: number;
}

/** Longest value of the file's metadata that is read, in bytes: a chat template. */
const MOST_METADATA = 4 << 20;

/** llama.cpp rounds the context of a sequence up to a multiple of this. */
const CONTEXT_STEP = 256;

/** What `llama_decode()` returns where its callback wanted it to end. */
const BROKEN_OFF = 2;

/** A model in memory. */
export class NativeModel {
  readonly #libraries: Libraries;
  /** The model, for C. */
  readonly pointer: Deno.PointerValue;
  /** Its vocabulary, for C. */
  readonly vocabulary: Deno.PointerValue;

  private constructor(libraries: Libraries, pointer: Deno.PointerValue) {
    this.#libraries = libraries;
    this.pointer = pointer;
    this.vocabulary = libraries.llama.llama_model_get_vocab(pointer);
  }

  /**
   * Loads a model; what llama.cpp says meanwhile goes to the log of the binding.
   *
   * @throws {Error} where it cannot be loaded, or writes in another way than one token after the other.
   */
  static async load(
    libraries: Libraries,
    { path, gpuLayers }: { path: string; gpuLayers: number },
  ): Promise<NativeModel> {
    const { llama } = libraries;
    const parameters = llama.llama_model_default_params();
    viewOf(parameters).setInt32(MODEL_FIELDS.n_gpu_layers, gpuLayers, LITTLE_ENDIAN);
    const file = cString(path);
    const pointer = await llama.llama_model_load_from_file(file, parameters);
    if (pointer === null) throw new Error("its file cannot be loaded");
    if (llama.llama_model_has_encoder(pointer) || llama.llama_model_is_diffusion(pointer)) {
      llama.llama_model_free(pointer);
      throw new Error("it is of a kind that does not write one token after the other");
    }
    return new NativeModel(libraries, pointer);
  }

  /** Tokens of context that it was trained with. */
  get trainedContext(): number {
    return this.#libraries.llama.llama_model_n_ctx_train(this.pointer);
  }

  /**
   * Whether the state of a sequence can be cut anywhere. That of a recurrent model is one sum of all tokens, and a
   * sliding window has forgotten what lies before it: these can only be gone on with.
   */
  get cuttable(): boolean {
    const { llama_model_n_swa, llama_model_is_recurrent, llama_model_is_hybrid } = this.#libraries.llama;
    return llama_model_n_swa(this.pointer) <= 0 && !llama_model_is_recurrent(this.pointer) &&
      !llama_model_is_hybrid(this.pointer);
  }

  /** A text of the file's metadata, or null. */
  metadata(key: string): string | null {
    const name = cString(key);
    const { llama_model_meta_val_str: read } = this.#libraries.llama;
    const length = read(this.pointer, name, new Uint8Array(1), 1n);
    if (length < 0 || length > MOST_METADATA) return null;
    const bytes = new Uint8Array(length + 1);
    read(this.pointer, name, bytes, BigInt(bytes.length));
    return new TextDecoder().decode(bytes.subarray(0, length));
  }

  /** Frees it; its context is to be freed before. */
  free(): void {
    this.#libraries.llama.llama_model_free(this.pointer);
  }
}

/** Where a model computes: the state of its sequences, and the threads. */
export class NativeContext {
  readonly #libraries: Libraries;
  readonly #memory: Deno.PointerValue;
  readonly #threads: Deno.PointerValue;
  /** The context, for C. */
  readonly pointer: Deno.PointerValue;
  /** What it came to. */
  readonly layout: ContextLayout;
  readonly #batch: Batch;
  /** A text for C: one character where what is computed is to be broken off, and its end. */
  readonly #stop = new Uint8Array(new ArrayBuffer(2));

  /**
   * Makes a context. Each sequence has memory of its own: what one holds neither takes room from another nor has a part
   * in how another is computed.
   *
   * @throws {Error} where there is not enough memory.
   */
  constructor(libraries: Libraries, model: NativeModel, layout: ContextLayout) {
    const { llama } = libraries;
    const { contextSize, slots, chunkTokens, threads } = layout;
    const parameters = llama.llama_context_default_params();
    const view = viewOf(parameters);
    view.setUint32(CONTEXT_FIELDS.n_ctx, Math.ceil(contextSize / CONTEXT_STEP) * CONTEXT_STEP * slots, LITTLE_ENDIAN);
    view.setUint32(CONTEXT_FIELDS.n_batch, Math.max(chunkTokens, slots), LITTLE_ENDIAN);
    view.setUint32(CONTEXT_FIELDS.n_ubatch, Math.max(chunkTokens, slots), LITTLE_ENDIAN);
    view.setUint32(CONTEXT_FIELDS.n_seq_max, slots, LITTLE_ENDIAN);
    view.setUint32(CONTEXT_FIELDS.n_outputs_max, slots, LITTLE_ENDIAN);
    view.setInt32(CONTEXT_FIELDS.n_threads, threads, LITTLE_ENDIAN);
    view.setInt32(CONTEXT_FIELDS.n_threads_batch, threads, LITTLE_ENDIAN);
    view.setUint8(CONTEXT_FIELDS.swa_full, 0);
    this.#libraries = libraries;
    this.pointer = llama.llama_init_from_model(model.pointer, parameters);
    if (this.pointer === null) throw new Error("there is not enough memory for its context");
    this.layout = { ...layout, contextSize: Math.min(contextSize, llama.llama_n_ctx_seq(this.pointer)) };
    this.#memory = llama.llama_get_memory(this.pointer);
    this.#batch = new Batch(libraries, Math.max(chunkTokens, slots));
    this.#threads = threadpool(libraries, threads);
    if (this.#threads !== null) llama.llama_attach_threadpool(this.pointer, this.#threads, this.#threads);
    llama.llama_set_abort_callback(this.pointer, libraries.isSet, this.#stop);
  }

  /** The tokens that are to be computed next. */
  get batch(): Batch {
    return this.#batch;
  }

  /**
   * Computes the tokens of the batch.
   *
   * @throws {Error} where that fails; the state of its sequences is not known then.
   */
  decode(): void {
    this.#stop[0] = 0;
    checkDecoded(this.#libraries.llama.llama_decode(this.pointer, this.#batch.struct));
  }

  /**
   * The same in another thread, so that it can be broken off meanwhile; nothing else may be done with the context until
   * it is over. False where it was broken off: then its sequences may hold a part of the batch, which is to be forgotten.
   *
   * @throws {Error} as {@linkcode NativeContext.decode} does.
   */
  async decodeBeside(): Promise<boolean> {
    this.#stop[0] = 0;
    const result = await this.#libraries.beside.llama_decode(this.pointer, this.#batch.struct);
    if (result === BROKEN_OFF) return false;
    checkDecoded(result);
    return true;
  }

  /** Breaks off what is computed beside. The CPU heeds it within one operation of the model; a GPU ends what it began. */
  breakOff(): void {
    this.#stop[0] = 1;
  }

  /** Forgets what a sequence holds from a position on. */
  forget(sequence: number, from = 0): void {
    this.#libraries.llama.llama_memory_seq_rm(this.#memory, sequence, from === 0 ? -1 : from, -1);
  }

  /** Forgets everything, and fills the memory with zeros. */
  clear(): void {
    const data = true;
    this.#libraries.llama.llama_memory_clear(this.#memory, data);
  }

  /** Frees it. */
  free(): void {
    this.#libraries.llama.llama_free(this.pointer);
    if (this.#threads !== null) this.#libraries.cpu?.ggml_threadpool_free(this.#threads);
  }
}

function checkDecoded(result: number): void {
  if (result !== 0) throw new Error(`llama_decode() returned ${result}`);
}

/** Tokens that are computed together: arrays that C reads where they lie. */
export class Batch {
  /** The struct that C takes. */
  readonly struct = new Uint8Array(new ArrayBuffer(BATCH_BYTES));
  /** Tokens in it. */
  size = 0;
  readonly #view = viewOf(this.struct);
  readonly #tokens: Int32Array;
  readonly #positions: Int32Array;
  readonly #counts: Int32Array;
  readonly #sequences: Int32Array;
  readonly #outputs: Int8Array;
  /** Kept for C, which holds its address. */
  readonly #lists: BigUint64Array;

  /** Makes an empty batch for so many tokens. */
  constructor(libraries: Libraries, most: number) {
    this.#tokens = new Int32Array(new ArrayBuffer(most * 4));
    this.#positions = new Int32Array(new ArrayBuffer(most * 4));
    this.#counts = new Int32Array(new ArrayBuffer(most * 4)).fill(1);
    this.#sequences = new Int32Array(new ArrayBuffer(most * 4));
    this.#outputs = new Int8Array(new ArrayBuffer(most));
    const sequences = libraries.addressOf(this.#sequences.buffer as ArrayBuffer);
    this.#lists = BigUint64Array.from({ length: most }, (_, index) => sequences + BigInt(index * 4));
    const place = (at: number, array: { buffer: ArrayBufferLike }) =>
      this.#view.setBigUint64(at, libraries.addressOf(array.buffer as ArrayBuffer), LITTLE_ENDIAN);
    place(BATCH_FIELDS.token, this.#tokens);
    place(BATCH_FIELDS.pos, this.#positions);
    place(BATCH_FIELDS.n_seq_id, this.#counts);
    place(BATCH_FIELDS.seq_id, this.#lists);
    place(BATCH_FIELDS.logits, this.#outputs);
  }

  /** Empties it. */
  clear(): void {
    this.size = 0;
    this.#view.setInt32(BATCH_FIELDS.n_tokens, 0, LITTLE_ENDIAN);
  }

  /** Adds a token of a sequence. */
  add(token: number, { sequence, position, output }: { sequence: number; position: number; output: boolean }): void {
    const at = this.size++;
    this.#tokens[at] = token;
    this.#positions[at] = position;
    this.#sequences[at] = sequence;
    this.#outputs[at] = output ? 1 : 0;
    this.#view.setInt32(BATCH_FIELDS.n_tokens, this.size, LITTLE_ENDIAN);
  }
}

/** Threads that stay between two steps: ggml makes new ones for each step otherwise. */
function threadpool({ base, cpu }: Libraries, threads: number): Deno.PointerValue {
  if (cpu === null) return null;
  const parameters = new Uint8Array(new ArrayBuffer(THREADPOOL_PARAMS_BYTES));
  base.ggml_threadpool_params_init(parameters, threads);
  return cpu.ggml_threadpool_new(parameters);
}
