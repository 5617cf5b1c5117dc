import { Template } from "@huggingface/jinja";
import {
  ArkError,
  type ChatInput,
  type CompletionInput,
  type GenerationParameters,
  type InferenceInput,
  type Message,
} from "@ark/node/protocol";
import { PlainReader, type PreparedAnswer } from "./prepare.ts";

/** How to read a text: `markup` knows the model's control tokens by their text, `plain` takes them for letters. */
export type TokenizeMode = "markup" | "plain";

/** What a prompt needs to know of a model. */
export interface PromptModel {
  /** The model's chat template in Jinja, or null. */
  readonly template: string | null;
  /** Text of the token that begins a text, or null. */
  readonly bosText: string | null;
  /** Text of the token that ends a text, or null. */
  readonly eosText: string | null;
  /** The token that the model wants at the very start, or null. */
  readonly bos: number | null;
  /** Texts that `markup` turns into control tokens. */
  readonly controlTexts: readonly string[];
  /** Turns text into tokens; `continued` where the text is not the first of the prompt. */
  tokenize(text: string, options: { mode: TokenizeMode; continued: boolean }): number[];
}

/** Characters that Unicode keeps out of all texts; the numbers between them name a control text. */
const OPEN = "\uFDD0";
const CLOSE = "\uFDD1";
/** Longest text that a template may make, in characters: several times what a request may hold. */
const MOST_TEXT = 8 << 20;
const MARK_REGEXP = /\uFDD0(\d+)\uFDD1/;

/**
 * Makes prompts in tokens.
 *
 * The text of a message cannot speak the model's control language. Before the template is rendered, each control text
 * (`<|im_end|>`, `</s>`) inside a message is replaced by a mark; after it, the marks are read as plain letters and all
 * else as markup. A message without such text, that is nearly every one, takes the same way as in llama.cpp. A raw
 * prompt is markup as a whole: who writes one, writes the control tokens, too.
 */
export class PromptBuilder {
  readonly #model: PromptModel;
  readonly #texts: readonly string[];
  readonly #controlRegExp: RegExp;
  #template: Template | undefined;

  /** Makes a builder for one model. */
  constructor(model: PromptModel) {
    this.#model = model;
    // The longest first: one control text may be the beginning of another.
    this.#texts = [...model.controlTexts, OPEN, CLOSE].filter(Boolean).sort((a, b) => b.length - a.length);
    this.#controlRegExp = new RegExp(this.#texts.map((text) => RegExp.escape(text)).join("|"), "g");
  }

  /**
   * A request, ready for an engine: its tokens, and what its answer may and will look like.
   *
   * @throws {ArkError} `bad_request` where the model cannot be asked so.
   */
  prepare(input: ChatInput | CompletionInput, { format }: GenerationParameters): PreparedAnswer {
    return {
      tokens: this.tokens(input),
      grammar: format?.kind === "grammar" ? { gbnf: format.grammar, triggers: null } : null,
      stop: [],
      preserved: new Map(),
      reader: () => new PlainReader(),
    };
  }

  /**
   * The tokens of an input.
   *
   * @throws {ArkError} `bad_request` where the model has no chat template, or it refuses the messages.
   */
  tokens(input: InferenceInput): number[] {
    if (input.kind !== "chat" && input.kind !== "completion") {
      throw new ArkError(
        "bad_request",
        "The model was loaded to write; it can neither embed nor put documents in order",
      );
    }
    if (input.kind === "completion" && typeof input.prompt !== "string") return [...input.prompt];
    const parts = input.kind === "chat" ? this.#render(input.messages).split(MARK_REGEXP) : [input.prompt as string];
    const tokens = parts.flatMap((part, index) => {
      const plain = index % 2 === 1;
      const piece = plain ? this.#texts[Number(part)] ?? "" : part;
      return piece === ""
        ? []
        : this.#model.tokenize(piece, { mode: plain ? "plain" : "markup", continued: index > 0 });
    });
    const { bos } = this.#model;
    if (bos !== null && tokens[0] !== bos) tokens.unshift(bos);
    if (tokens.length === 0) throw new ArkError("bad_request", "The prompt is empty; ask something");
    return tokens;
  }

  #render(messages: readonly Message[]): string {
    const template = this.#compiled();
    const begun = messages.at(-1);
    const fresh = begun?.role === "assistant" && begun.content.trim() === "" ? messages.slice(0, -1) : messages;
    const marked = fresh.map(({ role, content }) => ({ role, content: this.#mark(content) }));
    const last = marked.at(-1);
    // An answer that has begun is gone on with: no new turn, and nothing that closes the last one.
    const continues = last?.role === "assistant";
    let text: string;
    try {
      text = template.render({
        messages: marked,
        add_generation_prompt: !continues,
        bos_token: this.#model.bosText ?? "",
        eos_token: this.#model.eosText ?? "",
        tools: null,
        documents: null,
      });
    } catch {
      // What the template says may quote the messages.
      throw new ArkError(
        "bad_request",
        "The model's chat template refuses these messages: it may not know the system role, or want user and assistant " +
          "to take turns",
      );
    }
    if (text.length > MOST_TEXT) {
      throw new ArkError(
        "bad_request",
        "The model's chat template makes a text of these messages that is far too long",
      );
    }
    return continues ? upTo(text, last.content) : text;
  }

  #compiled(): Template {
    if (this.#template !== undefined) return this.#template;
    if (this.#model.template === null) {
      throw new ArkError("bad_request", "The model has no chat template; ask it with a raw prompt instead");
    }
    try {
      return this.#template = new Template(this.#model.template);
    } catch {
      throw new ArkError("engine_failed", "The model's chat template cannot be read; ask it with a raw prompt instead");
    }
  }

  #mark(content: string): string {
    return content.replaceAll(this.#controlRegExp, (text) => OPEN + this.#texts.indexOf(text) + CLOSE);
  }
}

/** A text up to the end of the last place where `part` stands, also where a template trimmed it. */
function upTo(text: string, part: string): string {
  for (const wanted of [part, part.trim()]) {
    const at = text.lastIndexOf(wanted);
    if (at >= 0) return text.slice(0, at + wanted.length);
  }
  return text;
}
