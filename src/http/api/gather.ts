import { ArkError, type InferenceEvent } from "@ark/node/protocol";
import { collect } from "./answer_order.ts";
import type { AnswerRun } from "./answer_run.ts";

/** What {@linkcode gather} looks for. */
export interface GatherOptions<T> {
  /** How many texts or documents were sent: each has one value. */
  count: number;
  /** The value in an event and whose it is, or undefined where it has none. */
  pick(event: InferenceEvent): { index: number; value: T } | undefined;
  /** Sentence for a value that did not come. */
  missing: string;
}

/** An answer that has one value for each text or document. */
export interface Gathered<T> {
  /** The model, as the node that answered calls it. */
  model: string;
  /** What it cost. */
  end: Extract<InferenceEvent, { type: "end" }>;
  /** In the order in which the texts were sent. */
  values: T[];
}

/**
 * Collects the values of an answer.
 *
 * @throws {ArkError} what the answer failed with; `unavailable` when it broke off, `engine_failed` where a value is missing.
 */
export async function gather<T>(run: AnswerRun, { count, pick, missing }: GatherOptions<T>): Promise<Gathered<T>> {
  const found = new Map<number, T>();
  let model = "";
  let end: Gathered<T>["end"] | undefined;
  await collect(run, (event) => {
    if (event.type === "start") model = event.model;
    else if (event.type === "end") end = event;
    const picked = pick(event);
    if (picked !== undefined && picked.index < count) found.set(picked.index, picked.value);
  });
  if (end === undefined || found.size < count) throw new ArkError("engine_failed", missing);
  const values = [...found].sort(([a], [b]) => a - b).map(([, value]) => value);
  return { model, end, values };
}

/** The vector in an event, in base64. */
export function pickVector(event: InferenceEvent): { index: number; value: string } | undefined {
  return event.type === "vector" ? { index: event.index, value: event.values } : undefined;
}
