/** Texts that a model puts around its thoughts. */
export interface ThinkTags {
  /** Begins them. */
  readonly open: string;
  /** Ends them. */
  readonly close: string;
}

/** How the inside of a call is written. */
export type CallForm =
  /** A JSON object with name and arguments, or a list of such. */
  | "json"
  /** A name, and the arguments as a JSON object. */
  | "named"
  /** Tags for the function and each of its arguments. */
  | "tags"
  /** A name, and tags for the name and the value of each argument. */
  | "pairs"
  /** As `json`, and without anything before it at the very start of an answer. */
  | "bare";

/** How a model writes that it calls functions. */
export interface CallSyntax {
  /** Which one. */
  readonly name:
    | "hermes"
    | "tags"
    | "pairs"
    | "functionary"
    | "mistral"
    | "mistral-named"
    | "deepseek"
    | "deepseek-fenced"
    | "granite"
    | "nemotron"
    | "kimi"
    | "command-r"
    | "llama";
  /** How the inside is written. */
  readonly form: CallForm;
  /** Texts that begin a call, or several. */
  readonly open: readonly string[];
  /** Texts after a call that belong to it. */
  readonly close: readonly string[];
  /** For the form `named`: what stands before the arguments; its first group is the function. */
  readonly header?: RegExp;
  /** Texts around what is said to the user, which are not shown. */
  readonly around?: readonly string[];
  /** Texts within a call that the vocabulary may have as control tokens. */
  readonly inside?: readonly string[];
}

const HERMES: CallSyntax = { name: "hermes", form: "json", open: ["<tool_call>"], close: ["</tool_call>"] };

/** What stands in a template, and the syntax that it tells of; the first that fits. */
const SIGNS: readonly [RegExp, CallSyntax][] = [
  [/<seed:tool_call>/, {
    name: "tags",
    form: "tags",
    open: ["<seed:tool_call>", "<function="],
    close: ["</seed:tool_call>"],
  }],
  [/<function=[^]*<parameter=/, {
    name: "tags",
    form: "tags",
    open: ["<tool_call>", "<function="],
    close: ["</tool_call>"],
  }],
  [/<function=/, {
    name: "functionary",
    form: "named",
    open: ["<function="],
    close: ["</function>", "<|eom_id|>", "<|eot_id|>"],
    header: /^([\w.-]+)>\s*$/,
  }],
  [/\[TOOL_CALLS\][^]*\[ARGS\]/, {
    name: "mistral-named",
    form: "named",
    open: ["[TOOL_CALLS]"],
    close: [],
    inside: ["[ARGS]", "[CALL_ID]"],
    header: /^\s*([\w.-]+)\s*(?:\[CALL_ID\][^[]{0,64})?(?:\[ARGS\])?\s*$/,
  }],
  [/\[TOOL_CALLS\]/, { name: "mistral", form: "json", open: ["[TOOL_CALLS]"], close: [] }],
  [/<｜tool▁calls▁begin｜>[^]*```json/, deepseek("deepseek-fenced")],
  [/<｜tool▁calls▁begin｜>/, deepseek("deepseek")],
  [/<\|START_ACTION\|>/, {
    name: "command-r",
    form: "json",
    open: ["<|START_ACTION|>"],
    close: ["<|END_ACTION|>"],
    around: ["<|START_RESPONSE|>", "<|END_RESPONSE|>"],
  }],
  [/<\|tool_call\|>/, { name: "granite", form: "json", open: ["<|tool_call|>"], close: ["<|/tool_call|>"] }],
  [/<TOOLCALL>/, { name: "nemotron", form: "json", open: ["<TOOLCALL>"], close: ["</TOOLCALL>"] }],
  [/<\|tool_call_argument_begin\|>/, {
    name: "kimi",
    form: "named",
    open: ["<|tool_calls_section_begin|>", "<|tool_call_begin|>"],
    close: ["<|tool_call_end|>", "<|tool_calls_section_end|>"],
    inside: ["<|tool_call_argument_begin|>"],
    header: /^\s*(?:<\|tool_call_begin\|>)?\s*(?:functions\.)?([\w.-]+?)(?::\d+)?\s*<\|tool_call_argument_begin\|>\s*$/,
  }],
  [/<arg_key>/, {
    name: "pairs",
    form: "pairs",
    open: ["<tool_call>"],
    close: [],
    inside: ["</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"],
  }],
  [/<tool_call>/, HERMES],
  [/<\|python_tag\|>|<\|start_header_id\|>/, {
    name: "llama",
    form: "bare",
    open: ["<|python_tag|>"],
    close: ["<|eom_id|>", "<|eot_id|>", ";"],
  }],
];

function deepseek(name: "deepseek" | "deepseek-fenced"): CallSyntax {
  return {
    name,
    form: "named",
    open: ["<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>"],
    close: ["```", "<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>"],
    inside: ["<｜tool▁sep｜>"],
    header:
      /^\s*(?:<｜tool▁call▁begin｜>)?\s*(?:function<｜tool▁sep｜>)?\s*([\w.-]+)\s*(?:<｜tool▁sep｜>)?\s*(?:```json)?\s*$/,
  };
}

/** How a model whose template is this one calls functions; a template that says nothing of them gets the usual tags. */
export function callSyntaxOf(template: string): CallSyntax {
  return SIGNS.find(([sign]) => sign.test(template))?.[1] ?? HERMES;
}

/** The syntax of a model that is taught it by its system prompt. */
export const TAUGHT_SYNTAX: CallSyntax = HERMES;

const THINK_TAGS: readonly ThinkTags[] = [
  { open: "<think>", close: "</think>" },
  { open: "[THINK]", close: "[/THINK]" },
  { open: "<|START_THINKING|>", close: "<|END_THINKING|>" },
  { open: "<seed:think>", close: "</seed:think>" },
];

/** The tags of thoughts that a template knows, or null. */
export function thinkTagsOf(template: string): ThinkTags | null {
  return THINK_TAGS.find(({ open, close }) => template.includes(open) || template.includes(close)) ?? null;
}

/** Whether a template speaks harmony, where an answer has channels. */
export function isHarmony(template: string): boolean {
  return template.includes("<|channel|>") && template.includes("<|start|>");
}
