import { BATCH, CHAIN_PARAMS, CONTEXT_PARAMS, MODEL_PARAMS } from "./layouts.ts";

/**
 * The functions of `libllama` that are used. Pointers that C hands out stay opaque: Deno lets a process look behind them
 * only where it may load any library, and the worker may load these alone.
 */
export const LLAMA = {
  llama_version: { parameters: [], result: "usize" },
  llama_model_default_params: { parameters: [], result: MODEL_PARAMS },
  llama_context_default_params: { parameters: [], result: CONTEXT_PARAMS },
  // In a thread of its own: progress is told by the log, which is read meanwhile.
  llama_model_load_from_file: { parameters: ["buffer", MODEL_PARAMS], result: "pointer", nonblocking: true },
  llama_model_free: { parameters: ["pointer"], result: "void" },
  llama_init_from_model: { parameters: ["pointer", CONTEXT_PARAMS], result: "pointer" },
  llama_free: { parameters: ["pointer"], result: "void" },
  llama_attach_threadpool: { parameters: ["pointer", "pointer", "pointer"], result: "void" },
  llama_n_ctx_seq: { parameters: ["pointer"], result: "u32" },
  llama_get_memory: { parameters: ["pointer"], result: "pointer" },
  llama_memory_clear: { parameters: ["pointer", "bool"], result: "void" },
  llama_memory_seq_rm: { parameters: ["pointer", "i32", "i32", "i32"], result: "bool" },
  llama_decode: { parameters: ["pointer", BATCH], result: "i32" },
  llama_set_abort_callback: { parameters: ["pointer", "pointer", "buffer"], result: "void" },
  llama_synchronize: { parameters: ["pointer"], result: "void" },
  llama_get_logits_ith: { parameters: ["pointer", "i32"], result: "pointer" },
  llama_model_get_vocab: { parameters: ["pointer"], result: "pointer" },
  llama_model_meta_val_str: { parameters: ["pointer", "buffer", "buffer", "usize"], result: "i32" },
  llama_model_n_ctx_train: { parameters: ["pointer"], result: "i32" },
  llama_model_n_swa: { parameters: ["pointer"], result: "i32" },
  llama_model_is_recurrent: { parameters: ["pointer"], result: "bool" },
  llama_model_is_hybrid: { parameters: ["pointer"], result: "bool" },
  llama_model_is_diffusion: { parameters: ["pointer"], result: "bool" },
  llama_model_has_encoder: { parameters: ["pointer"], result: "bool" },
  llama_adapter_lora_init: { parameters: ["pointer", "buffer"], result: "usize" },
  llama_set_adapters_lora: { parameters: ["pointer", "buffer", "usize", "buffer"], result: "i32" },
  llama_vocab_type: { parameters: ["pointer"], result: "i32" },
  llama_vocab_n_tokens: { parameters: ["pointer"], result: "i32" },
  llama_vocab_get_attr: { parameters: ["pointer", "i32"], result: "i32" },
  llama_vocab_get_text: { parameters: ["pointer", "i32"], result: "usize" },
  llama_vocab_is_eog: { parameters: ["pointer", "i32"], result: "bool" },
  llama_vocab_bos: { parameters: ["pointer"], result: "i32" },
  llama_vocab_eos: { parameters: ["pointer"], result: "i32" },
  llama_vocab_get_add_bos: { parameters: ["pointer"], result: "bool" },
  llama_tokenize: { parameters: ["pointer", "buffer", "i32", "buffer", "i32", "bool", "bool"], result: "i32" },
  llama_token_to_piece: { parameters: ["pointer", "i32", "buffer", "i32", "i32", "bool"], result: "i32" },
  llama_sampler_chain_init: { parameters: [CHAIN_PARAMS], result: "pointer" },
  llama_sampler_chain_add: { parameters: ["pointer", "pointer"], result: "void" },
  llama_sampler_init_greedy: { parameters: [], result: "pointer" },
  llama_sampler_init_dist: { parameters: ["u32"], result: "pointer" },
  llama_sampler_init_top_k: { parameters: ["i32"], result: "pointer" },
  llama_sampler_init_top_p: { parameters: ["f32", "usize"], result: "pointer" },
  llama_sampler_init_min_p: { parameters: ["f32", "usize"], result: "pointer" },
  llama_sampler_init_typical: { parameters: ["f32", "usize"], result: "pointer" },
  llama_sampler_init_temp: { parameters: ["f32"], result: "pointer" },
  llama_sampler_init_penalties: { parameters: ["i32", "i32", "f32", "f32", "f32"], result: "pointer" },
  llama_sampler_init_logit_bias: { parameters: ["i32", "i32", "buffer"], result: "pointer" },
  llama_sampler_init_grammar: { parameters: ["pointer", "buffer", "buffer"], result: "pointer" },
  llama_sampler_apply: { parameters: ["pointer", "buffer"], result: "void" },
  llama_sampler_accept: { parameters: ["pointer", "i32"], result: "void" },
  llama_sampler_sample: { parameters: ["pointer", "pointer", "i32"], result: "i32" },
  llama_sampler_free: { parameters: ["pointer"], result: "void" },
} as const;

/** The functions of `libggml-base`, and two of the C library that it brings along. */
export const GGML_BASE = {
  ggml_threadpool_params_init: { parameters: ["buffer", "i32"], result: "void" },
  memcpy: { parameters: ["buffer", "usize", "usize"], result: "usize" },
  strlen: { parameters: ["usize"], result: "usize" },
} as const;

/** {@linkcode GGML_BASE}'s copy once more, for what is named by a pointer, and for what has an address in this process. */
export const COPIES = {
  memcpy: { parameters: ["buffer", "pointer", "usize"], result: "usize" },
} as const;

/** The same `llama_decode` in another thread, while JavaScript goes on. */
export const BESIDE = {
  llama_decode: { parameters: ["pointer", BATCH], result: "i32", nonblocking: true },
} as const;

/** A function of the C library that does nothing for so many microseconds, in another thread. */
export const RESTS = {
  usleep: { parameters: ["u32"], result: "i32", nonblocking: true },
} as const;

/** Where a function of the C library lies, for C to call: it says false of an empty text, and true of a short one. */
export const PREDICATES = {
  strlen: { type: "pointer" },
} as const;

/** The same, from one buffer to another. */
export const ADDRESSES = {
  memcpy: { parameters: ["buffer", "buffer", "usize"], result: "usize" },
} as const;

/** The functions of a library for the processor. */
export const GGML_CPU = {
  ggml_threadpool_new: { parameters: ["buffer"], result: "pointer" },
  ggml_threadpool_free: { parameters: ["pointer"], result: "void" },
} as const;

/** How well a library for the processor fits this machine; 0 where it cannot run. Absent where there is one only. */
export const GGML_CPU_SCORE = {
  ggml_backend_score: { parameters: [], result: "i32" },
} as const;
