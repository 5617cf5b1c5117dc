import { setImmediate } from "node:timers";
import { ArkError, decodeTokenIds, encodeTokenIds, LIMITS, type TokenIds } from "@ark/node/protocol";
import type { AnswerWriter } from "./answer_writer.ts";
import type { EngineRequest, EngineResult, EngineSink } from "./engine.ts";
import type { PreparedAnswer } from "./prepare.ts";
import type { PromptBuilder } from "./prompt.ts";

/** Written tokens that are read in one go: a grammar takes its time for each, and others wait meanwhile. */
const TOKENS_AT_ONCE = 256;

/** Where an answer begins: at the end of its prompt, or after what was written of it before. */
export interface Beginning {
  /** What its prompt and its answer look like; its tokens are those of the prompt alone. */
  prepared: PreparedAnswer;
  /** Tokens that were written before. */
  written: readonly number[];
  /** All tokens that the model is to have read: those of the prompt, then those that were written. */
  tokens: number[];
}

/** What {@linkcode beginningOf} needs to know of a model. */
export interface BeginningModel {
  /** Makes prompts. */
  prompts: PromptBuilder;
  /** Tokens of its vocabulary. */
  vocabularySize: number;
}

/**
 * Where an answer begins. What was rendered elsewhere is taken as it is, and `input` only says how to read what follows.
 *
 * @throws {ArkError} `bad_request` where the model cannot be asked so, or has not all of the tokens.
 */
export function beginningOf(request: EngineRequest, { prompts, vocabularySize }: BeginningModel): Beginning {
  const { input, parameters, resume, count_only } = request;
  if (input.kind !== "chat" && input.kind !== "completion") {
    throw new ArkError("bad_request", "The model was loaded to write; it can neither embed nor put documents in order");
  }
  if (resume !== undefined && count_only) throw nothingToResume();
  const prepared = prompts.prepare(input, parameters);
  if (resume === undefined) return { prepared, written: [], tokens: prepared.tokens };
  const prompt = resume.prompt === undefined ? prepared.tokens : idsOf(resume.prompt);
  const written = idsOf(resume.written);
  if ([...prompt, ...written].some((token) => token >= vocabularySize)) {
    throw new ArkError(
      "bad_request",
      `The answer cannot be gone on with: the model has ${vocabularySize} tokens, and one of those given is none of them`,
    );
  }
  return { prepared: { ...prepared, tokens: prompt }, written, tokens: [...prompt, ...written] };
}

/** There is nothing to go on with: only what was written has a beginning that can be told as tokens. */
export function nothingToResume(): ArkError {
  return new ArkError("bad_request", "Only an answer that is written can be gone on with; leave resume out");
}

/** The ids of a prompt, where they are wanted, there are any, and they are not too many to be gone on with. */
export function promptIds({ ids }: Pick<EngineRequest, "ids">, prompt: readonly number[]): TokenIds | undefined {
  return ids && prompt.length > 0 && prompt.length <= LIMITS.resumedTokens ? encodeTokenIds(prompt) : undefined;
}

/** What reads the tokens that were written before. */
export interface Replay {
  /** Turns them into parts that were shown. */
  writer: AnswerWriter;
  /** Moves the grammar on by a token; false where it does not allow the token. */
  accept(token: number): boolean;
  /** Whether a token ends an answer. */
  isEnd(token: number): boolean;
  /** Ends the work. */
  signal: AbortSignal;
}

/**
 * Brings all that has a memory of the answer to where it was after the written tokens. Fulfilled with whether the answer
 * goes on: false where it was complete with them.
 *
 * @throws {ArkError} `bad_request` where the answer may not have these tokens; `cancelled`.
 */
export async function replay(written: readonly number[], { writer, accept, isEnd, signal }: Replay): Promise<boolean> {
  for (const [index, token] of written.entries()) {
    if (index % TOKENS_AT_ONCE === TOKENS_AT_ONCE - 1) await new Promise((resolve) => setImmediate(resolve));
    if (signal.aborted) throw new ArkError("cancelled", "The request was cancelled");
    if (isEnd(token)) return false;
    if (!accept(token)) {
      throw new ArkError(
        "bad_request",
        "The answer cannot be gone on with: what was written of it is not what its format or its functions allow",
      );
    }
    if (!writer.replay(token)) return false;
  }
  return true;
}

/** The end of an answer that was complete with what was written before: what was held back of it goes out. */
export function finishedBefore(
  writer: AnswerWriter,
  { sink, promptTokens }: { sink: EngineSink; promptTokens: number },
): EngineResult {
  for (const part of writer.flush()) sink.part(part);
  const { stopText } = writer;
  return {
    ...nothingComputed({ finish_reason: writer.finishReason("stop"), promptTokens }),
    ...stopText === undefined ? {} : { stop_text: stopText },
  };
}

/** The end of a request for which nothing had to be computed. */
export function nothingComputed(
  { finish_reason, promptTokens }: Pick<EngineResult, "finish_reason"> & { promptTokens: number },
): EngineResult {
  const usage = { prompt_tokens: promptTokens, completion_tokens: 0, cached_tokens: 0 };
  return { finish_reason, usage, prompt_ms: 0, generation_ms: 0 };
}

/** The prompt does not fit, or leaves no room for an answer. */
export function contextExceeded(
  { tokens, written, contextSize }: { tokens: number; written: number; contextSize: number },
): ArkError {
  const sentence = written === 0
    ? `The prompt has ${tokens} tokens and the context ${contextSize}; shorten the prompt`
    : `The prompt and what was written have ${tokens} tokens and the context ${contextSize}: there is no room to go on`;
  return new ArkError("context_exceeded", sentence);
}

function idsOf(ids: TokenIds): number[] {
  try {
    return decodeTokenIds(ids);
  } catch (cause) {
    throw new ArkError("bad_request", "The answer cannot be gone on with: its tokens cannot be read", { cause });
  }
}
