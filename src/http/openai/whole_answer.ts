import { ArkError } from "@ark/node/protocol";
import type { AnswerRun } from "../api/answer_run.ts";
import { type AnswerShape, usageBody } from "./answer_shape.ts";

/**
 * Collects an answer and gives its body in one piece.
 *
 * @throws {ArkError} what the answer failed with; `unavailable` when it broke off.
 */
export async function wholeAnswer(
  run: AnswerRun,
  { shape, id, created }: { shape: AnswerShape; id: string; created: number },
): Promise<object> {
  let model: string | null = null;
  let text = "";
  let body: object | null = null;
  // After `end` it goes on until the iterator is done: only then the request is recorded as complete.
  for (let event = await run.next(); event !== null; event = await run.next()) {
    if (event.type === "start") model = event.model;
    else if (model === null) break;
    else if (event.type === "text") text += event.text;
    else if (event.type === "end") {
      const choices = [shape.wholeChoice(text, event.finish_reason)];
      body = { id, object: shape.object, created, model, choices, usage: usageBody(event.usage) };
    }
  }
  run.end();
  if (body === null) throw brokenOff();
  return body;
}

/** An answer that stopped without its end. */
export function brokenOff(): ArkError {
  return new ArkError("unavailable", "The answer broke off before it was complete; ask again");
}
