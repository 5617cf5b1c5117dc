import { ArkError, type InferenceRequest, type Usage } from "@ark/node/protocol";
import type { AnswerRun } from "../api/answer_run.ts";
import { collect } from "../api/answer_order.ts";
import { vectorNumbers } from "../openai/vector.ts";

/** Vectors of some texts. */
export interface Vectors {
  /** One for each text, in their order, each of length 1. */
  vectors: number[][];
  /** What they cost. */
  usage: Usage;
  /** Time of loading the model, in milliseconds. */
  loadMs: number;
}

/**
 * Collects the vectors of an answer.
 *
 * @throws {ArkError} what the answer failed with; `unavailable` when it broke off, `engine_failed` where a vector is missing.
 */
export async function vectorsOf(run: AnswerRun, { texts }: { texts: number }): Promise<Vectors> {
  const found = new Map<number, number[]>();
  let cost: Pick<Vectors, "usage" | "loadMs"> = { usage: { prompt_tokens: 0, completion_tokens: 0 }, loadMs: 0 };
  await collect(run, (event) => {
    if (event.type === "vector" && event.index < texts) found.set(event.index, [...vectorNumbers(event.values)]);
    else if (event.type === "end") cost = { usage: event.usage, loadMs: event.timings.load_ms };
  });
  const vectors = Array.from({ length: texts }, (_, index) => found.get(index) ?? []);
  if (vectors.some((vector) => vector.length === 0)) {
    throw new ArkError("engine_failed", "The engine gave no vector for one of the texts; ask again");
  }
  return { vectors, ...cost };
}

/** The first numbers of a vector, made as long as 1 again; all of it where it has no more. */
export function shortened(vector: readonly number[], dimensions: number | undefined): number[] {
  if (dimensions === undefined || dimensions >= vector.length) return [...vector];
  const head = vector.slice(0, dimensions);
  const length = Math.hypot(...head);
  return length === 0 ? head : head.map((value) => value / length);
}

/** A request for vectors of texts. */
export function vectorRequest(model: string, texts: readonly string[]): InferenceRequest {
  return { model, input: { kind: "embed", texts: [...texts] }, parameters: {} };
}
