import {
  ArkError,
  type ChatInput,
  type CompletionInput,
  type GenerationParameters,
  type InferenceInput,
  type Tool,
} from "@ark/node/protocol";
import { answerGrammar } from "./chat/answer_grammar.ts";
import {
  type CallSyntax,
  callSyntaxOf,
  isHarmony,
  TAUGHT_SYNTAX,
  type ThinkTags,
  thinkTagsOf,
} from "./chat/call_syntax.ts";
import { ChatTemplate, type TemplateModel } from "./chat/chat_template.ts";
import { HARMONY_MARKS, HarmonyReader } from "./chat/harmony_reader.ts";
import { SyntaxReader } from "./chat/syntax_reader.ts";
import { PlainReader, type PreparedAnswer } from "./prepare.ts";

/** How to read a text: `markup` knows the model's control tokens by their text, `plain` takes them for letters. */
export type TokenizeMode = "markup" | "plain";

/** What a prompt needs to know of a model. */
export interface PromptModel extends TemplateModel {
  /** The token that the model wants at the very start, or null. */
  readonly bos: number | null;
  /** Texts that `markup` turns into control tokens. */
  readonly controlTexts: readonly string[];
  /** How many tokens the vocabulary has; where it is not told, tokens of a caller are not checked here. */
  readonly vocabularySize?: number;
  /** Turns text into tokens; `continued` where the text is not the first of the prompt. */
  tokenize(text: string, options: { mode: TokenizeMode; continued: boolean }): number[];
}

/** Characters that Unicode keeps out of all texts; the numbers between them name a control text. */
const OPEN = "\uFDD0";
const CLOSE = "\uFDD1";
const MARK_REGEXP = /\uFDD0(\d+)\uFDD1/;

/** Control texts around a gap: what is before it, what is after it, and where it is filled. */
const GAPS: readonly (readonly [string, string, string])[] = [
  ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"],
  ["<fim_prefix>", "<fim_suffix>", "<fim_middle>"],
  ["<fim-prefix>", "<fim-suffix>", "<fim-middle>"],
  ["<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"],
  ["<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"],
];

/** How the answers of a chat are written. */
interface ChatSyntax {
  tools: readonly Tool[];
  calls: CallSyntax | "harmony" | null;
  think: ThinkTags | null;
}

/**
 * Makes prompts in tokens, and says what their answers look like.
 *
 * What a caller writes cannot speak the model's control language: no message, and no name, description, schema, argument
 * or result of a function. Before the template is rendered, each control text (`<|im_end|>`, `</s>`) inside of them is
 * replaced by a mark; after it, the marks are read as plain letters and all else as markup. A message without such text,
 * that is nearly every one, takes the same way as in llama.cpp. A raw prompt is markup as a whole: who writes one, writes
 * the control tokens, too.
 */
export class PromptBuilder {
  readonly #model: PromptModel;
  readonly #template: ChatTemplate;
  readonly #texts: readonly string[];
  readonly #controlRegExp: RegExp;

  /** Makes a builder for one model. */
  constructor(model: PromptModel) {
    this.#model = model;
    this.#template = new ChatTemplate(model);
    // The longest first: one control text may be the beginning of another.
    this.#texts = [...model.controlTexts, OPEN, CLOSE].filter(Boolean).sort((a, b) => b.length - a.length);
    this.#controlRegExp = new RegExp(this.#texts.map((text) => RegExp.escape(text)).join("|"), "g");
  }

  /**
   * A request, ready for an engine: its tokens, and what its answer may and will look like.
   *
   * @throws {ArkError} `bad_request` where the model cannot be asked so, or the format cannot be kept to.
   */
  prepare(input: ChatInput | CompletionInput, { format }: GenerationParameters): PreparedAnswer {
    if (input.kind === "completion") {
      return {
        tokens: this.tokens(input),
        grammar: answerGrammar({
          syntax: null,
          tools: [],
          required: false,
          parallel: false,
          format,
          think: null,
          thinking: false,
        }),
        stop: [],
        preserved: new Map(),
        reader: () => new PlainReader(),
      };
    }
    const { calls, think, tools } = this.#syntax(input);
    const text = this.#rendered(input);
    const thinking = think !== null && text.trimEnd().endsWith(think.open);
    const { tool_choice = "auto", parallel_tool_calls = true } = input;
    const named = typeof tool_choice === "object";
    const callable = named ? tools.filter(({ name }) => name === tool_choice.name) : tools;
    if (named && callable.length === 0) {
      throw new ArkError("bad_request", "The function that must be called is not among those of the request");
    }
    const parallel = parallel_tool_calls && !named;
    const grammar = answerGrammar({
      syntax: calls,
      tools: callable,
      required: named || (tool_choice === "required" && tools.length > 0),
      parallel,
      format,
      think: input.think === false ? null : think,
      thinking: thinking && input.think !== false,
    });
    const known = new Map(callable.map((tool) => [tool.name, tool]));
    return {
      tokens: this.#tokensOf(text.split(MARK_REGEXP)),
      grammar,
      stop: [],
      preserved: this.#preserved({ calls, think, tools }),
      reader: () => {
        if (calls === "harmony") return new HarmonyReader(known, { parallel });
        if (calls === null && think === null) return new PlainReader();
        return new SyntaxReader({ syntax: calls, tools: known, parallel, think, thinking });
      },
    };
  }

  /**
   * The tokens of an input.
   *
   * @throws {ArkError} `bad_request` where the model has no chat template, or it refuses the messages.
   */
  tokens(input: InferenceInput): number[] {
    if (input.kind === "chat") return this.#tokensOf(this.#rendered(input).split(MARK_REGEXP));
    if (input.kind !== "completion") {
      throw new ArkError(
        "bad_request",
        "The model was loaded to write; it can neither embed nor put documents in order",
      );
    }
    const { prompt, suffix } = input;
    const most = this.#model.vocabularySize ?? Infinity;
    if (typeof prompt !== "string" && prompt.some((token) => token >= most)) {
      throw new ArkError("bad_request", `The model has ${most} tokens, and a token of the prompt is none of them`);
    }
    if (suffix !== undefined) return this.#gap(prompt, suffix);
    return typeof prompt === "string" ? this.#tokensOf([prompt]) : [...prompt];
  }

  #rendered(input: ChatInput): string {
    const { tools, think } = this.#syntax(input);
    const text = this.#template.render({
      messages: input.messages,
      tools,
      think: input.think,
      mark: (written) => this.#mark(written),
    });
    // A template that begins thoughts whatever it is told has them ended at once.
    const begun = input.think === false && think !== null && text.trimEnd().endsWith(think.open);
    return begun ? `${text.trimEnd()}\n\n${think.close}\n\n` : text;
  }

  #syntax({ tools = [], tool_choice }: ChatInput): ChatSyntax {
    const { source } = this.#template;
    const offered = tool_choice === "none" ? [] : tools;
    if (isHarmony(source)) return { tools: offered, calls: "harmony", think: null };
    const think = thinkTagsOf(source);
    if (offered.length === 0) return { tools: [], calls: null, think };
    return { tools: offered, calls: this.#template.traits.tools ? callSyntaxOf(source) : TAUGHT_SYNTAX, think };
  }

  /** The control tokens of the answer's syntax. */
  #preserved({ calls, think }: ChatSyntax): Map<number, string> {
    const texts = calls === "harmony" ? [...HARMONY_MARKS] : [
      ...think === null ? [] : [think.open, think.close],
      ...calls === null ? [] : [...calls.open, ...calls.close, ...calls.around ?? [], ...calls.inside ?? []],
    ];
    const preserved = new Map<number, string>();
    for (const text of texts) {
      const [token, ...more] = this.#model.tokenize(text, { mode: "markup", continued: true });
      if (token !== undefined && more.length === 0) preserved.set(token, text);
    }
    return preserved;
  }

  /** Markup and names of control texts in turns, as tokens. */
  #tokensOf(parts: readonly string[]): number[] {
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

  /** A prompt with a gap before the suffix, for models that were trained to fill it. */
  #gap(prompt: string | number[], suffix: string): number[] {
    const gap = GAPS.find((texts) => texts.every((text) => this.#model.controlTexts.includes(text)));
    if (gap === undefined) {
      throw new ArkError("bad_request", "The model cannot fill a gap in a text; leave the suffix out");
    }
    const mark = (text: string) => this.#model.tokenize(text, { mode: "markup", continued: true });
    const plain = (text: string) => this.#model.tokenize(text, { mode: "plain", continued: true });
    const [before, after, middle] = gap;
    const { bos } = this.#model;
    return [
      ...bos === null ? [] : [bos],
      ...mark(before),
      ...typeof prompt === "string" ? plain(prompt) : prompt,
      ...mark(after),
      ...plain(suffix),
      ...mark(middle),
    ];
  }

  #mark(content: string): string {
    return content.replaceAll(this.#controlRegExp, (text) => OPEN + this.#texts.indexOf(text) + CLOSE);
  }
}
