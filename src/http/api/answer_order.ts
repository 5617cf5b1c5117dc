import { ArkError, type InferenceEvent } from "@ark/node/protocol";
import type { AnswerRun } from "./answer_run.ts";

/** Sees to it that an answer has a start, then parts, then one end, so that whoever writes it need not. */
export class AnswerOrder {
  #started = false;
  #ended = false;

  /**
   * Takes note of an event.
   *
   * @throws {ArkError} `unavailable` where it cannot be the next one.
   */
  take(event: InferenceEvent): void {
    if (this.#ended || (event.type === "start") === this.#started) throw brokenOff();
    this.#started = true;
    this.#ended = event.type === "end";
  }

  /**
   * Takes note that nothing more comes.
   *
   * @throws {ArkError} `unavailable` where the answer has had no end.
   */
  finish(): void {
    if (!this.#ended) throw brokenOff();
  }
}

/**
 * Takes every event of an answer that is sent in one piece.
 *
 * @throws {ArkError} what the answer failed with; `unavailable` when it broke off.
 */
export async function collect(run: AnswerRun, take: (event: InferenceEvent) => void): Promise<void> {
  const order = new AnswerOrder();
  // After `end` it goes on until the iterator is done: only then the request is recorded as complete.
  for (let event = await run.next(); event !== null; event = await run.next()) {
    order.take(event);
    take(event);
  }
  run.end();
  order.finish();
}

/** An answer that stopped without its end. */
function brokenOff(): ArkError {
  return new ArkError("unavailable", "The answer broke off before it was complete; ask again");
}
