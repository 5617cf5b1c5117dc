import { unsupported } from "../api/request_fault.ts";
import { given, type RequestFields } from "../api/request_fields.ts";

/** When a field changes nothing, and what is said when it would. */
interface RefusalRule {
  harmless(value: unknown): boolean;
  rule: string;
}

type RefusalRules = Readonly<Record<string, RefusalRule>>;

const OTHER_SAMPLER: RefusalRule = {
  harmless: (value) => value === 0 || value === false,
  rule: "must be absent or 0: this node has no such sampler",
};
const OTHER_FORMAT: RefusalRule = {
  harmless: () => false,
  rule: "must be absent: use response_format, json_schema or grammar",
};

/** What llama.cpp's server and vLLM know beside OpenAI, and would answer otherwise for. */
const SHARED: RefusalRules = {
  mirostat: OTHER_SAMPLER,
  dry_multiplier: OTHER_SAMPLER,
  xtc_probability: OTHER_SAMPLER,
  dynatemp_range: OTHER_SAMPLER,
  top_n_sigma: { ...OTHER_SAMPLER, harmless: (value) => typeof value === "number" && value <= 0 },
  samplers: { harmless: () => false, rule: "must be absent: the order of the samplers is fixed" },
  min_tokens: {
    harmless: (value) => value === 0,
    rule: "must be absent or 0: this node does not force an answer's length",
  },
  ignore_eos: {
    harmless: (value) => value === false,
    rule: "must be absent or false: this node does not force an answer's length",
  },
  use_beam_search: {
    harmless: (value) => value === false,
    rule: "must be absent or false: this node searches no beams",
  },
  length_penalty: { harmless: (value) => value === 1, rule: "must be absent or 1: this node searches no beams" },
  guided_json: OTHER_FORMAT,
  guided_regex: OTHER_FORMAT,
  guided_choice: OTHER_FORMAT,
  guided_grammar: OTHER_FORMAT,
  structured_outputs: OTHER_FORMAT,
};

/** Fields of a chat that would change the answer in a way that cannot be done. */
export const CHAT_REFUSALS: RefusalRules = {
  ...SHARED,
  best_of: { harmless: (value) => value === 1, rule: "must be 1: a chat has n answers, and none is left out" },
  modalities: {
    harmless: (value) => Array.isArray(value) && value.every((modality) => modality === "text"),
    rule: "must be text alone: this node answers with text",
  },
  audio: { harmless: () => false, rule: "must be absent: this node answers with text" },
  web_search_options: { harmless: () => false, rule: "must be absent: this node does not search the web" },
  chat_template: { harmless: () => false, rule: "must be absent: a chat is written as its model's own template says" },
  add_generation_prompt: {
    harmless: (value) => value === true,
    rule: "must be absent or true: an assistant's message at the end is gone on with by itself",
  },
  reasoning_format: {
    harmless: (value) => value === "auto" || value === "deepseek",
    rule: "must be auto or deepseek: what a model thinks is always apart, as reasoning_content",
  },
  include_reasoning: {
    harmless: (value) => value === true,
    rule: "must be absent or true: what a model thinks is shown",
  },
};

/** Fields of a completion that would change the answer in a way that cannot be done. */
export const COMPLETION_REFUSALS: RefusalRules = {
  ...SHARED,
  prompt_logprobs: {
    harmless: () => false,
    rule: "must be absent: this node reports probabilities of the answer alone",
  },
};

/**
 * Refuses what would change the answer and cannot be done, instead of answering something else than was asked. Every
 * other field is none of ours and is neither read nor passed on.
 *
 * @throws {RequestFault} `unsupported_value`
 */
export function refuseUnsupported(fields: RequestFields, rules: RefusalRules): void {
  for (const name of Object.keys(fields)) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    const value = given(fields, name);
    if (rule === undefined || value === undefined || rule.harmless(value)) continue;
    throw unsupported(name, rule.rule);
  }
}
