import { CONTEXT_FIELDS, LITTLE_ENDIAN, LLAMA_VERSION, MODEL_FIELDS } from "./layouts.ts";
import type { Libraries } from "./libraries.ts";

/** Values that llama.cpp's own defaults have, by the place where they must lie. */
const MODEL_DEFAULTS: Readonly<Record<string, [at: number, value: number]>> = {
  n_gpu_layers: [MODEL_FIELDS.n_gpu_layers, -1],
  split_mode: [MODEL_FIELDS.split_mode, 1],
  load_mode: [MODEL_FIELDS.load_mode, -1],
  lazy_mode: [MODEL_FIELDS.lazy_mode, 1],
  main_gpu: [MODEL_FIELDS.main_gpu, 0],
};
const CONTEXT_DEFAULTS: Readonly<Record<string, [at: number, value: number]>> = {
  n_ctx: [CONTEXT_FIELDS.n_ctx, 512],
  n_batch: [CONTEXT_FIELDS.n_batch, 2048],
  n_ubatch: [CONTEXT_FIELDS.n_ubatch, 512],
  n_seq_max: [CONTEXT_FIELDS.n_seq_max, 1],
  n_outputs_max: [CONTEXT_FIELDS.n_outputs_max, 0],
  n_outputs_max_per_seq: [CONTEXT_FIELDS.n_outputs_max_per_seq, 1],
  n_threads: [CONTEXT_FIELDS.n_threads, 4],
  n_threads_batch: [CONTEXT_FIELDS.n_threads_batch, 4],
  pooling_type: [CONTEXT_FIELDS.pooling_type, -1],
  flash_attn_type: [CONTEXT_FIELDS.flash_attn_type, -1],
  type_k: [CONTEXT_FIELDS.type_k, 1],
  type_v: [CONTEXT_FIELDS.type_v, 1],
};
/** The booleans at the end: vocab_only, check_tensors, use_extra_bufts, no_host, no_alloc, load_mtp. */
const MODEL_BOOLEANS = [0, 0, 1, 0, 0, 0];
/** embeddings, offload_kqv, no_perf, op_offload, swa_full, kv_unified. */
const CONTEXT_BOOLEANS = [0, 1, 1, 1, 1, 0];
/** A negative number that only a float in its place makes. */
const YARN_EXT_FACTOR = -1;

/**
 * Looks whether the libraries are those that the layouts of `layouts.ts` were written for, before anything is done with
 * them: first the version, since a struct of another size would be written beyond the memory that is there for it, then
 * the defaults, field by field.
 *
 * @throws {Error} that says what differs.
 */
export function checkLibraries(libraries: Libraries): void {
  const version = libraries.text(libraries.llama.llama_version());
  if (version !== LLAMA_VERSION) throw new Error(`llama.cpp is ${version.slice(0, 40)} instead of ${LLAMA_VERSION}`);
  checkDefaults({
    model: libraries.llama.llama_model_default_params(),
    context: libraries.llama.llama_context_default_params(),
  });
}

/**
 * Looks whether default parameters lie where the layouts say.
 *
 * @throws {Error} that names the first field that differs.
 */
export function checkDefaults({ model, context }: { model: Uint8Array; context: Uint8Array }): void {
  compare("llama_model_params", model, {
    defaults: MODEL_DEFAULTS,
    at: MODEL_FIELDS.booleans,
    booleans: MODEL_BOOLEANS,
  });
  compare("llama_context_params", context, {
    defaults: CONTEXT_DEFAULTS,
    at: CONTEXT_FIELDS.booleans,
    booleans: CONTEXT_BOOLEANS,
  });
  if (viewOf(context).getFloat32(CONTEXT_FIELDS.yarn_ext_factor, LITTLE_ENDIAN) !== YARN_EXT_FACTOR) {
    throw new Error("llama_context_params has something else in the place of yarn_ext_factor");
  }
}

function compare(
  name: string,
  bytes: Uint8Array,
  { defaults, at, booleans }: { defaults: typeof MODEL_DEFAULTS; at: number; booleans: readonly number[] },
): void {
  const view = viewOf(bytes);
  for (const [field, [offset, value]] of Object.entries(defaults)) {
    if (view.getInt32(offset, LITTLE_ENDIAN) !== value) {
      throw new Error(`${name} has something else in the place of ${field}`);
    }
  }
  for (const [index, value] of booleans.entries()) {
    if (bytes[at + index] !== value) throw new Error(`${name} has something else in the place of boolean ${index}`);
  }
}

/** The bytes of a struct, to be read field by field. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
