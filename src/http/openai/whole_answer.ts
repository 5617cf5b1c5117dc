import type { FinishReason } from "@ark/node/protocol";
import { type AnswerRuns, ChoicesOrder } from "./answer_runs.ts";
import type { AnswerShape, ChoiceCollector } from "./answer_shape.ts";
import { UsageSum } from "./usage.ts";

/** How an answer in one piece is made. */
export interface WholeAnswerOptions {
  /** Writes the choices. */
  shape: AnswerShape;
  /** Id of the answer. */
  id: string;
  /** When it was made, in seconds since 1970. */
  created: number;
  /** How many choices in a row have the same prompt. */
  perPrompt: number;
}

/**
 * Collects all choices of an answer and gives its body in one piece.
 *
 * @throws {ArkError} what the answer failed with; `unavailable` when it broke off.
 */
export async function wholeAnswer(
  runs: AnswerRuns,
  { shape, id, created, perPrompt }: WholeAnswerOptions,
): Promise<object> {
  const order = new ChoicesOrder(runs.size);
  const usage = new UsageSum({ perPrompt });
  const collectors = Array.from({ length: runs.size }, (_, index) => shape.collector(index));
  const reasons: FinishReason[] = [];
  let model = "";
  // After the last `end` it goes on until nothing comes: only then the requests are recorded as complete.
  for (let taken = await runs.next(); taken !== null; taken = await runs.next()) {
    order.take(taken);
    usage.take(taken);
    const { index, event } = taken;
    if (event.type === "start") model ||= event.model;
    else if (event.type === "end") reasons[index] = event.finish_reason;
    else collectors[index]?.add(event);
  }
  runs.end();
  order.finish();
  const choices = collectors.map((one: ChoiceCollector, index) => one.choice(reasons[index] ?? "stop"));
  return { id, object: shape.object, created, model, choices, usage: usage.body() };
}
