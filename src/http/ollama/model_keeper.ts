import type { GenerationParameters, ModelRef } from "@ark/node/protocol";

/** A model of this node, as far as it can be told about it. */
export interface ModelDescription {
  /** `name:tag`. */
  readonly id: string;
  /** Size of its file in bytes. */
  readonly size: number;
  /** SHA-256 of its file in hex, or null while it is not known. */
  readonly digest: string | null;
  /** When its file was changed last, in milliseconds since 1970. */
  readonly modifiedAt: number;
  /** Architecture as llama.cpp calls it. */
  readonly architecture: string;
  /** Number of parameters. */
  readonly parameterCount: number;
  /** Chat template, in the language in which its file has it, or null. */
  readonly template: string | null;
  /** What stands before a chat that has no system message, or null. */
  readonly system: string | null;
  /** Under which licence it is, or null where its file does not say. */
  readonly license: string | null;
  /** How it writes where a request does not say. */
  readonly defaults: GenerationParameters;
  /** Single values of its file's header by their key. */
  readonly metadata: ReadonlyMap<string, string | number | bigint | boolean>;
}

/** A model in memory. */
export interface RunningModel {
  /** `name:tag`. */
  readonly id: string;
  /** Memory that it takes in all, in bytes. */
  readonly bytes: number;
  /** Memory of a GPU among that, in bytes. */
  readonly vramBytes: number;
  /** Tokens of context that a request may use. */
  readonly contextSize: number;
  /** When it leaves memory, in milliseconds since 1970, or null where it stays. */
  readonly expiresAt: number | null;
}

/** How far a model has come here. */
export interface PullProgress {
  /** What happens now, such as `pulling manifest`. */
  readonly status: string;
  /** Which file, as `sha256:…`. */
  readonly digest?: string;
  /** Size of that file in bytes. */
  readonly total?: number;
  /** Bytes that are here. */
  readonly completed?: number;
}

/**
 * What Ollama's API does with models beside asking them. Every `ref` is a model of this node; whether it can
 * fetch, remove and rename them is up to the node, and the API says so where it cannot.
 */
export interface ModelKeeper {
  /** Id of the model of this node that a name means, or null where it has none of that name. */
  find(ref: ModelRef): string | null;
  /**
   * Looks at a model of this node.
   *
   * @throws {ArkError} `model_not_found` where there is none of that name, or its file cannot be read any more.
   */
  describe(ref: ModelRef): Promise<ModelDescription>;
  /**
   * Brings a model into memory and resolves when it is there.
   *
   * @param options `keepAliveMs` is how long it stays there unused; null is for ever, absent is as the owner set it.
   * Aborting the `signal` gives up waiting.
   * @throws {ArkError} `model_not_found`, `busy`, `engine_failed`, `cancelled`.
   */
  load(ref: ModelRef, options: { keepAliveMs?: number | null; signal: AbortSignal }): Promise<void>;
  /** Takes a model out of memory as soon as it is idle. */
  unload(ref: ModelRef): Promise<void>;
  /** The models in memory, each once. */
  running(): readonly RunningModel[];
  /**
   * Fetches a model; it is here when the iteration ends.
   *
   * @throws {ArkError} from the iteration.
   */
  pull?(ref: ModelRef, options: { signal: AbortSignal }): AsyncIterable<PullProgress>;
  /** Removes a model from this node's own store. Rejects with an `ArkError` where it is not there. */
  remove?(ref: ModelRef): Promise<void>;
  /** Gives a model a second name. Rejects with an `ArkError` where there is no such model, or the name is taken. */
  copy?(from: ModelRef, to: string): Promise<void>;
}
