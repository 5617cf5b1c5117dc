import type { LlamaModel, Token } from "node-llama-cpp";
import type { Detokenize } from "./detokenizer.ts";
import type { PromptModel } from "./prompt.ts";

/** GGUF's numbers of the kinds of tokens that are ordinary text. */
const NORMAL_TOKEN = 1;
const BYTE_TOKEN = 6;

/** What prompts need to know of a model. */
export function promptModel(model: LlamaModel): PromptModel {
  const { tokens } = model;
  const template = model.fileInfo.metadata.tokenizer?.chat_template;
  return {
    template: typeof template === "string" ? template : null,
    bosText: tokens.bosString,
    eosText: tokens.eosString,
    bos: tokens.shouldPrependBosToken ? tokens.bos : null,
    controlTexts: controlTexts(model),
    vocabularySize: vocabularySize(model),
    tokenize(text, { mode, continued }) {
      return model.tokenize(text, mode === "markup", continued ? "trimLeadingSpace" : undefined);
    },
  };
}

/** How many tokens a model has. */
export function vocabularySize(model: LlamaModel): number {
  return model.fileInfo.metadata.tokenizer?.ggml?.tokens?.length ?? 0;
}

/** The texts that the tokenizer turns into control tokens. llama.cpp is asked, since it corrects what a file says. */
function controlTexts(model: LlamaModel): string[] {
  const { tokens = [], token_type = [] } = model.fileInfo.metadata.tokenizer?.ggml ?? {};
  return tokens.filter((text, token) => {
    const kind = token_type[token] ?? NORMAL_TOKEN;
    const ordinary = kind === NORMAL_TOKEN || kind === BYTE_TOKEN;
    if (typeof text !== "string" || (ordinary && !/[<[|]/.test(text))) return false;
    const attributes = model.getTokenAttributes(token as Token);
    return attributes.control || attributes.unknown;
  });
}

/**
 * How a model turns tokens into text. In a byte-level vocabulary the text of a token does not depend on its neighbours,
 * so it is looked up once.
 */
export function detokenizeFor(model: LlamaModel, byteLevel: LlamaModel["vocabularyType"]): Detokenize {
  const special = false;
  if (model.vocabularyType !== byteLevel) {
    return (tokens, before) => model.detokenize(tokens as Token[], special, before as Token[]);
  }
  const texts = new Map<number, string>();
  return (tokens) => {
    const [token] = tokens;
    if (tokens.length !== 1 || token === undefined) return model.detokenize(tokens as Token[], special);
    let text = texts.get(token);
    if (text === undefined) texts.set(token, text = model.detokenize([token as Token], special));
    return text;
  };
}
