/**
 * What a model can do.
 *
 * | word | what |
 * |---|---|
 * | `chat` | it has a chat template |
 * | `completion` | it goes on with a text |
 * | `tools` | its template knows functions that it may call |
 * | `thinking` | its template knows text that it thinks before it answers |
 * | `embed` | it turns texts into vectors |
 * | `rerank` | it puts documents in order for a query |
 * | `insert` | it fills a gap between two texts |
 */
export const CAPABILITIES = ["chat", "completion", "tools", "thinking", "embed", "rerank", "insert"] as const;

/** One of {@linkcode CAPABILITIES}. */
export type Capability = typeof CAPABILITIES[number];

/** The capabilities among some words, each once, in the order of {@linkcode CAPABILITIES}; words that nobody knows are dropped. */
export function decodeCapabilities(value: unknown): Capability[] {
  return Array.isArray(value) ? CAPABILITIES.filter((word) => value.includes(word)) : [];
}
