import type { Span } from "@ark/node/telemetry";
import type { InferenceEvent, InferenceRequest, ModelRef } from "@ark/node/protocol";

/** Who asks, how urgently, and until when. */
export interface InferOptions {
  /** The owner's requests go before all requests of peers. */
  priority: "owner" | "peer";
  /** Whose prompt it is. State of a prompt is never shared between two principals. */
  principal: string;
  /** Aborted when the answer is not wanted any more. */
  signal: AbortSignal;
  /**
   * How long the model stays in memory when nobody uses it afterwards, in milliseconds: null is for ever, 0 not at all.
   * Heeded for the owner's requests and this node's own models. Absent: as it was.
   */
  keepAliveMs?: number | null;
  /** The span that this work is a part of, where the owner has requests traced. A peer is told its `traceparent`. */
  trace?: Span;
}

/** Everything that can run a prompt. */
export interface Backend {
  /** Name for people and logs. */
  readonly name: string;
  /** Whether it has this model. */
  handles(model: ModelRef): boolean;
  /**
   * Answers a request: `start`, any number of `text`, then one `end`. Nothing happens before the first event is asked
   * for. Leaving the loop, or aborting the signal, ends the work.
   *
   * @throws {ArkError} from the iteration; `cancelled` when the signal is aborted.
   */
  infer(request: InferenceRequest, options: InferOptions): AsyncIterable<InferenceEvent>;
}
