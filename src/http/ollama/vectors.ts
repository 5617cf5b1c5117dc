import type { InferenceRequest, Usage } from "@ark/node/protocol";
import type { AnswerRun } from "../api/answer_run.ts";
import { gather, pickVector } from "../api/gather.ts";
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
  const missing = "The engine gave no vector for one of the texts; ask again";
  const { end, values } = await gather(run, { count: texts, pick: pickVector, missing });
  const vectors = values.map((each) => [...vectorNumbers(each)]);
  return { vectors, usage: end.usage, loadMs: end.timings.load_ms };
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
