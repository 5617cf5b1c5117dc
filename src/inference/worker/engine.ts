import type { FinishReason, GenerationParameters, InferenceInput, Usage } from "@ark/node/protocol";
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
}

/** One request to the engine. */
export interface EngineRequest {
  /** What the model reads. */
  input: InferenceInput;
  /** How it writes. */
  parameters: GenerationParameters;
  /** Whether the state of the request before may be used. Otherwise it is erased before anything else happens. */
  reuse: boolean;
}

/** Takes the answer as it is written. */
export interface EngineSink {
  /** The prompt is in tokens and fits. */
  start(promptTokens: number): void;
  /** Some tokens, as whole characters. */
  text(text: string, tokens: number): void;
}

/** How an answer ended. */
export interface EngineResult {
  /** Why. */
  finish_reason: FinishReason;
  /** Tokens. */
  usage: Usage;
  /** Tokens of the prompt that were not computed, since the state of the request before had them. */
  reused_tokens: number;
  /** Reading the prompt, until the first token, in milliseconds. */
  prompt_ms: number;
  /** Writing, from the first token to the last, in milliseconds. */
  generation_ms: number;
}

/** Options of {@linkcode Engine.generate}. */
export interface EngineGenerateOptions {
  /** Takes the answer. */
  sink: EngineSink;
  /** Ends the work after the token, or the batch of the prompt, that is being computed. */
  signal: AbortSignal;
}

/** Runs one model, one request at a time. */
export interface Engine {
  /**
   * Loads the model; once.
   *
   * @throws {Error} whose message is one sentence for the owner.
   */
  load(options: EngineLoad): Promise<EngineModel>;
  /**
   * Answers one request.
   *
   * @throws {ArkError} `cancelled` when the signal is aborted; `context_exceeded`, `bad_request`, `engine_failed`.
   */
  generate(request: EngineRequest, options: EngineGenerateOptions): Promise<EngineResult>;
}
