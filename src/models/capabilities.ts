import type { Capability } from "@ark/node/protocol";
import type { GgufHeader } from "./gguf_header.ts";

/** Architectures that only read: they make vectors and write nothing. */
const ENCODERS: ReadonlySet<string> = new Set([
  "bert",
  "eurobert",
  "gemma-embedding",
  "jina-bert-v2",
  "jina-bert-v3",
  "modern-bert",
  "neo-bert",
  "nomic-bert",
  "nomic-bert-moe",
  "t5encoder",
]);

/** `pooling_type`: how the vectors of a text's tokens become one; 0 is not at all, 4 is a score for a query. */
const POOLED: ReadonlySet<unknown> = new Set([1, 2, 3]);
const RANKED = 4;

/** Bounded: anyone can write anything into a template, also what would make a search take hours. */
const TOOLS_REGEXP = /\{[{%][^}]{0,400}\btools\b/;
const THINKING_REGEXP = /enable_thinking|reasoning_content|<\/think>|\[THINK\]|<\|channel\|>|<seed:think>/;

/** What {@linkcode capabilitiesOf} judges by. */
export interface CapabilityFacts {
  /** Header of the model's first file. */
  header: Pick<GgufHeader, "metadata" | "tensors">;
  /** Architecture as llama.cpp calls it. */
  architecture: string;
}

/**
 * What a model can do by its own metadata, in the order of `CAPABILITIES`. A model that makes vectors or ranks documents does
 * only that, whatever template it carries.
 */
export function capabilitiesOf({ header: { metadata, tensors }, architecture }: CapabilityFacts): Capability[] {
  const pooling = metadata.get(`${architecture}.pooling_type`);
  const encoder = ENCODERS.has(architecture);
  const classifies = tensors.has("cls.weight") || tensors.has("cls.output.weight");
  if (pooling === RANKED || (encoder && classifies)) return ["rerank"];
  if (encoder || POOLED.has(pooling)) return ["embed"];
  const template = metadata.get("tokenizer.chat_template");
  const chat = typeof template === "string" && template.trim() !== "";
  return [
    ...chat ? ["chat" as const] : [],
    "completion",
    ...chat && TOOLS_REGEXP.test(template) ? ["tools" as const] : [],
    ...chat && THINKING_REGEXP.test(template) ? ["thinking" as const] : [],
    ...fillsGaps(metadata) ? ["insert" as const] : [],
  ];
}

/** Whether the vocabulary has tokens for what stands before a gap and after it, under their present or former keys. */
function fillsGaps(metadata: GgufHeader["metadata"]): boolean {
  const has = (...names: string[]) => names.some((name) => metadata.has(`tokenizer.ggml.${name}_token_id`));
  return has("fim_pre", "prefix") && has("fim_suf", "suffix") && has("fim_mid", "middle");
}
