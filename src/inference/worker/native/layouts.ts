/**
 * llama.cpp's structs, as they lie in memory. They belong to one version of llama.cpp, which has no stable binary
 * interface: with another one {@linkcode checkLibraries} refuses, and node-llama-cpp's addon is used instead.
 */

/** What `llama_version()` says in the version that the layouts were written for: that of node-llama-cpp 3.21.1. */
export const LLAMA_VERSION = "0.4.0-dev";

/** `llama_model_params`. */
export const MODEL_PARAMS = {
  struct: [
    "pointer", // devices
    "pointer", // tensor_buft_overrides
    "i32", // n_gpu_layers
    "i32", // split_mode
    "i32", // load_mode
    "i32", // lazy_mode
    "i32", // main_gpu
    "pointer", // tensor_split
    "pointer", // progress_callback
    "pointer", // progress_callback_user_data
    "pointer", // kv_overrides
    "bool", // vocab_only
    "bool", // check_tensors
    "bool", // use_extra_bufts
    "bool", // no_host
    "bool", // no_alloc
    "bool", // load_mtp
  ],
} as const;

/** `llama_context_params`. */
export const CONTEXT_PARAMS = {
  struct: [
    "u32", // n_ctx
    "u32", // n_batch
    "u32", // n_ubatch
    "u32", // n_seq_max
    "u32", // n_rs_seq
    "u32", // n_outputs_max
    "u32", // n_outputs_max_per_seq
    "i32", // n_threads
    "i32", // n_threads_batch
    "i32", // ctx_type
    "i32", // rope_scaling_type
    "i32", // pooling_type
    "i32", // attention_type
    "i32", // flash_attn_type
    "f32", // rope_freq_base
    "f32", // rope_freq_scale
    "f32", // yarn_ext_factor
    "f32", // yarn_attn_factor
    "f32", // yarn_beta_fast
    "f32", // yarn_beta_slow
    "u32", // yarn_orig_ctx
    "f32", // defrag_thold
    "pointer", // cb_eval
    "pointer", // cb_eval_user_data
    "i32", // type_k
    "i32", // type_v
    "pointer", // abort_callback
    "pointer", // abort_callback_data
    "bool", // embeddings
    "bool", // offload_kqv
    "bool", // no_perf
    "bool", // op_offload
    "bool", // swa_full
    "bool", // kv_unified
    "pointer", // samplers
    "usize", // n_samplers
    "pointer", // ctx_other
  ],
} as const;

/** `llama_batch`. */
export const BATCH = {
  struct: ["i32", "pointer", "pointer", "pointer", "pointer", "pointer", "pointer"],
} as const;

/** `llama_sampler_chain_params`: whether times are left unmeasured. */
export const CHAIN_PARAMS = { struct: ["bool"] } as const;

/** Where the fields of `llama_model_params` lie that are set or checked, in bytes. */
export const MODEL_FIELDS = {
  n_gpu_layers: 16,
  split_mode: 20,
  load_mode: 24,
  lazy_mode: 28,
  main_gpu: 32,
  progress_callback: 48,
  booleans: 72,
} as const;

/** Where the fields of `llama_context_params` lie that are set or checked, in bytes. */
export const CONTEXT_FIELDS = {
  n_ctx: 0,
  n_batch: 4,
  n_ubatch: 8,
  n_seq_max: 12,
  n_outputs_max: 20,
  n_outputs_max_per_seq: 24,
  n_threads: 28,
  n_threads_batch: 32,
  pooling_type: 44,
  flash_attn_type: 52,
  yarn_ext_factor: 64,
  type_k: 104,
  type_v: 108,
  booleans: 128,
  swa_full: 132,
  kv_unified: 133,
} as const;

/** Where the fields of `llama_batch` lie, in bytes. */
export const BATCH_FIELDS = { n_tokens: 0, token: 8, embd: 16, pos: 24, n_seq_id: 32, seq_id: 40, logits: 48 } as const;

/** Size of `llama_batch` in bytes. */
export const BATCH_BYTES = 56;

/** Size of `llama_token_data` in words of four bytes: id, logit, probability. */
export const TOKEN_DATA_WORDS = 3;

/** Where the fields of `llama_token_data_array` lie, in bytes. */
export const TOKEN_ARRAY_FIELDS = { data: 0, size: 8, selected: 16, sorted: 24 } as const;

/** Size of `llama_token_data_array` in bytes. */
export const TOKEN_ARRAY_BYTES = 32;

/** Size of `llama_logit_bias` in words of four bytes: token, bias. */
export const LOGIT_BIAS_WORDS = 2;

/** More bytes than `ggml_threadpool_params` has; ggml itself fills them in. */
export const THREADPOOL_PARAMS_BYTES = 1_024;

/** `llama_token_attr`: bits of a token that is no ordinary text. */
export const TOKEN_ATTRIBUTES = { unknown: 1, control: 8 } as const;

/** How C and this machine's processors write numbers: all platforms that llama.cpp is shipped for do it like this. */
export const LITTLE_ENDIAN = true;
