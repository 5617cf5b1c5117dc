/** One model file that this node can run. */
export interface LocalModel {
  /** `name:tag`, lower case, distinct within the catalogue. */
  readonly id: string;
  /** The part of the id before the colon. */
  readonly name: string;
  /** Absolute path of the file, links resolved. */
  readonly path: string;
  /** Size of the file in bytes. */
  readonly size: number;
  /** When the file was changed last, in milliseconds since 1970. */
  readonly mtimeMs: number;
  /** Architecture as llama.cpp calls it, such as `llama`. */
  readonly architecture: string;
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
  /** SHA-256 of the file in hex, or null while it is not known yet. */
  readonly digest: string | null;
}

/** A file or folder that is left out, and why. */
export interface ModelFault {
  /** Absolute path. */
  readonly path: string;
  /** One sentence for the owner. */
  readonly reason: string;
}
