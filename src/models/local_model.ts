import type { Capability, GenerationParameters } from "@ark/node/protocol";

/**
 * Where a model's file lies: in a folder of `--models`, in the store of Ollama, in the cache of Hugging Face's tools, or in
 * this node's own store, the only one where the node writes and deletes.
 */
export type ModelSource = "folder" | "ollama" | "huggingface" | "own";

/** One model that this node can run. */
export interface LocalModel {
  /** `name:tag`, lower case, distinct within the catalogue. */
  readonly id: string;
  /** The part of the id before the last colon. */
  readonly name: string;
  /** Absolute path of the file, links resolved; of a model in several files the first, as it is called in its folder. */
  readonly path: string;
  /** Absolute paths of all its files in order; the first is `path`. */
  readonly files: readonly string[];
  /** Size of all its files in bytes. */
  readonly size: number;
  /** When one of its files was changed last, in milliseconds since 1970. */
  readonly mtimeMs: number;
  /** When the model came here or was changed last, in milliseconds since 1970. */
  readonly modifiedAt: number;
  /** Where it lies. */
  readonly source: ModelSource;
  /** Architecture as llama.cpp calls it, such as `llama`. */
  readonly architecture: string;
  /** Family that people look for; the architecture. */
  readonly family: string;
  /** What it can do, by its metadata. */
  readonly capabilities: readonly Capability[];
  /** Most tokens of context that the model was made for. */
  readonly contextLength: number;
  /** Layers, or 0 where the file does not say. */
  readonly blockCount: number;
  /** Number of parameters, counted from the tensors. */
  readonly parameterCount: number;
  /** Size label such as `8b`, or null. */
  readonly parameters: string | null;
  /** Quantisation such as `q4_0`, or null. */
  readonly quantization: string | null;
  /**
   * SHA-256 in hex, or null while it is not known yet. It is always computed here, never believed. Of a model in several
   * files it is that of a list of their digests, see {@linkcode splitDigest}.
   */
  readonly digest: string | null;
  /**
   * Chat template in Go's language as Ollama's store has it, or null. It is not rendered: the template in the model's own
   * file counts, and a model that has only this one is not offered for chats.
   */
  readonly template: string | null;
  /** What stands before a chat that has no system message, or null. */
  readonly system: string | null;
  /** How it writes where a request does not say. */
  readonly defaults: GenerationParameters;
  /** Its licence as its store or its file states it; absent where neither does. */
  readonly license?: string;
  /** Further names, lower case; none of them is the id of another model. */
  readonly aliases: readonly string[];
}

/** A file or folder that is left out, and why. */
export interface ModelFault {
  /** Absolute path. */
  readonly path: string;
  /** One sentence for the owner. */
  readonly reason: string;
}
