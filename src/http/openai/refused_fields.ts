import { unsupported } from "../api/request_fault.ts";
import { given, type RequestFields } from "../api/request_fields.ts";

/** When a field changes nothing, and what is said when it would. */
interface RefusalRule {
  harmless(value: unknown): boolean;
  rule: string;
}

type RefusalRules = Readonly<Record<string, RefusalRule>>;

const NO_TOOLS: RefusalRule = { harmless: isEmpty, rule: "must be absent or empty: this node cannot call tools yet" };
const NO_TOOL_CHOICE: RefusalRule = {
  harmless: (value) => value === "none" || value === "auto",
  rule: "must be none or auto: this node cannot call tools yet",
};
const NO_GRAMMAR: RefusalRule = { harmless: isEmpty, rule: "must be absent: this node cannot force a grammar yet" };

const SHARED: RefusalRules = {
  n: { harmless: (value) => value === 1, rule: "must be 1: this node gives one answer per request" },
  logit_bias: { harmless: isEmpty, rule: "must be absent or empty: this node cannot bias tokens yet" },
  response_format: {
    harmless: (value) => typeof value === "object" && value !== null && "type" in value && value.type === "text",
    rule: "must be of type text: this node cannot force JSON yet",
  },
  grammar: NO_GRAMMAR,
  json_schema: NO_GRAMMAR,
};

/** Fields of a chat that would change the answer in a way that cannot be done yet. */
export const CHAT_REFUSALS: RefusalRules = {
  ...SHARED,
  tools: NO_TOOLS,
  functions: NO_TOOLS,
  tool_choice: NO_TOOL_CHOICE,
  function_call: NO_TOOL_CHOICE,
  logprobs: { harmless: (value) => value === false, rule: "must be false: this node cannot report probabilities yet" },
  top_logprobs: { harmless: (value) => value === 0, rule: "must be 0: this node cannot report probabilities yet" },
  modalities: {
    harmless: (value) => Array.isArray(value) && value.every((modality) => modality === "text"),
    rule: "must be text alone: this node answers with text",
  },
  audio: { harmless: () => false, rule: "must be absent: this node answers with text" },
  web_search_options: { harmless: () => false, rule: "must be absent: this node does not search the web" },
};

/** Fields of a completion that would change the answer in a way that cannot be done yet. */
export const COMPLETION_REFUSALS: RefusalRules = {
  ...SHARED,
  best_of: { harmless: (value) => value === 1, rule: "must be 1: this node writes one answer per request" },
  echo: { harmless: (value) => value === false, rule: "must be false: this node does not repeat the prompt" },
  suffix: {
    harmless: (value) => value === "",
    rule: "must be absent or empty: this node cannot fill in the middle yet",
  },
  logprobs: { harmless: (value) => value === false, rule: "must be absent: this node cannot report probabilities yet" },
};

/**
 * Refuses what would change the answer and cannot be done, instead of answering something else than was asked. Every
 * other field is none of ours and is neither read nor passed on.
 *
 * @throws {RequestFault} `unsupported_value`
 */
export function refuseUnsupported(fields: RequestFields, rules: RefusalRules): void {
  for (const [name, { harmless, rule }] of Object.entries(rules)) {
    const value = given(fields, name);
    if (value !== undefined && !harmless(value)) throw unsupported(name, rule);
  }
}

function isEmpty(value: unknown): boolean {
  if (value === "") return true;
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
