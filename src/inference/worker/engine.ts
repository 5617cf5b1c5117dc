import type {
  AnswerPart,
  FinishReason,
  GenerationParameters,
  InferenceInput,
  TokenIds,
  Usage,
} from "@ark/node/protocol";
import type { GpuChoice } from "./messages.ts";

/** A build of llama.cpp that was found to work on this machine. */
export interface EngineBinding {
  /** Absolute path of the library that Deno loads. */
  path: string;
  /** Folder with builds for more processors, or null. */
  extensions: string | null;
  /** Compute layer that it was built for; false is the CPU. */
  build: "cuda" | "vulkan" | "metal" | false;
  /** Compute layer that it found here. */
  gpu: "cuda" | "vulkan" | "metal" | false;
  /** Which llama.cpp it is. */
  release: { repo: string; release: string };
}

/** Which model to load, and how. */
export interface EngineLoad {
  /** The build to use, or null to look for one, which needs the permission to run programs. */
  binding: EngineBinding | null;
  /** Absolute path of the GGUF file. */
  path: string;
  /** Number of parameters. */
  parameters: number;
  /** Most tokens of context; less where the model or the memory has less. */
  context_size: number;
  /** Threads, or null to fit model and machine. */
  threads: number | null;
  /** Which compute layer. */
  gpu: GpuChoice;
  /** Memory of the GPU that stays free, in bytes, or null for the engine's own margin. */
  vram_reserve: number | null;
  /** What the model is for; it decides how its memory is laid out. */
  task: ModelTask;
  /** Most requests at once; the engine may take fewer. */
  slots: number;
  /** Which implementation; `auto` takes the faster one where its check of itself passes. */
  engine: EngineChoice;
  /** Additions to the model that requests may name. */
  loras: readonly LoraFile[];
}

/** What a model is used for: to write, to turn texts into vectors, or to put documents in order. */
export type ModelTask = typeof TASKS[number];

/** All of {@linkcode ModelTask}. */
export const TASKS = ["generate", "embed", "rerank"] as const;

/** Which implementation runs a model: llama.cpp's libraries directly, or node-llama-cpp's addon. */
export type EngineChoice = "auto" | "native" | "addon";

/** An addition to a model. */
export interface LoraFile {
  /** As requests name it. */
  name: string;
  /** Absolute path of the GGUF file. */
  path: string;
}

/** What a loaded model came to. */
export interface EngineModel {
  /** Tokens of context that there are. */
  context_size: number;
  /** Threads that compute. */
  threads: number;
  /** Compute layer such as `cuda`, or null for the CPU. */
  gpu: string | null;
  /** Name and version of the engine. */
  engine: string;
  /** Requests that it answers at once, at least 1. */
  slots: number;
  /** Memory of the machine that it takes, in bytes, where that is known. */
  bytes?: number;
  /** Memory of the GPU that it takes, in bytes, where that is known. */
  vram_bytes?: number;
  /** Memory of the GPU that is free beside it, in bytes, where that is known. */
  vram_free?: number;
}

/** One request to the engine. */
export interface EngineRequest {
  /** What the model reads. */
  input: InferenceInput;
  /** How it writes. */
  parameters: GenerationParameters;
  /** Whose prompt it is. State of one principal's prompt is never used for another's. */
  principal: string;
  /** Only the number of the prompt's tokens is wanted. */
  count_only?: true;
  /** The sink is told the ids of the prompt's tokens, and those of the answer with its parts. */
  ids?: true;
  /** The answer was begun before, here or elsewhere, and is gone on with; `max_tokens` is what may still be written. */
  resume?: EngineResume;
  /** It goes first: an engine that computes several answers at once lets those without this wait until it is done. */
  urgent?: true;
}

/** How far an answer has come that is gone on with. */
export interface EngineResume {
  /** The rendered prompt; absent where the input is to be rendered again, as this very engine did before. */
  prompt?: TokenIds;
  /** Every token written so far, whose parts were shown. */
  written: TokenIds;
}

/** Takes the answer as it is written. */
export interface EngineSink {
  /** The prompt is in tokens and fits; its ids where they are wanted, and not too many to be gone on with elsewhere. */
  start(promptTokens: number, promptIds?: TokenIds): void;
  /** The next part; a text is whole characters. */
  part(part: AnswerPart): void;
}

/** How an answer ended. */
export interface EngineResult {
  /** Why. */
  finish_reason: FinishReason;
  /** The stop text that ended it, where one did. */
  stop_text?: string;
  /**
   * Tokens; those of the prompt that were not computed, since an earlier request's state had them, are told. Of an answer
   * that was gone on with, what was written before counts neither as prompt nor as written.
   */
  usage: Required<Usage>;
  /** Reading the prompt, until the first token, in milliseconds. */
  prompt_ms: number;
  /** Writing, from the first token to the last, in milliseconds. */
  generation_ms: number;
}

/** What {@linkcode Engine.generate} writes to and hears from. */
export interface EngineGenerateOptions {
  /** Takes the answer. */
  sink: EngineSink;
  /** Ends the work after the token, or the batch of the prompt, that is being computed. */
  signal: AbortSignal;
}

/** Runs one model. */
export interface Engine {
  /**
   * Loads the model; once.
   *
   * @throws {Error} whose message is one sentence for the owner.
   */
  load(options: EngineLoad, progress?: (fraction: number) => void): Promise<EngineModel>;
  /**
   * Answers one request. Called for as many at once as the loaded model has slots.
   *
   * @throws {ArkError} `cancelled` when the signal is aborted; `context_exceeded`, `bad_request`, `engine_failed`.
   */
  generate(request: EngineRequest, options: EngineGenerateOptions): Promise<EngineResult>;
}
