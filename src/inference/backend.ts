import type { Span } from "@ark/node/telemetry";
import type { AnswerPart, InferenceEvent, InferenceRequest, ModelRef } from "@ark/node/protocol";

/**
 * A short way for the parts of a running answer, beside the iteration: a token that is only passed on costs a call instead
 * of a turn of promises in every layer. Whoever iterates opens it after the answer's start has reached it, and then asks
 * for the next event; from then on the one that is asked may hand over parts here for as long as it is asked, in place of
 * giving them to the iteration. `start`, `end` and failures always come by the iteration. A layer between may put one of
 * its own before it, or leave it out: then everything comes by the iteration.
 */
export interface PartSink {
  /** Whether it takes parts now. Once open it stays so until the iteration gives something, also where nobody wants them any more. */
  readonly open: boolean;
  /**
   * Takes parts, in their order, none of which may be changed afterwards. Null where it takes more at once; else a promise
   * that is there when it does: whoever makes parts waits for it. Neither it nor the promise ever fails.
   */
  take(parts: readonly AnswerPart[]): Promise<void> | null;
  /** The same in two steps; absent where a part has to be seen by everybody before it goes on, or something is held back. */
  readonly later?: LateSink | undefined;
}

/**
 * Shows parts at once, and takes note of them some at a time: what the layers between know of an answer lies all over memory,
 * and to look at all of it for each token takes longer than the work itself.
 */
export interface LateSink {
  /** Shows parts to the reader, as {@linkcode PartSink.take} does. */
  show(parts: readonly AnswerPart[]): Promise<void> | null;
  /** Takes note of parts that were shown, in their order; `times` says when each was, by the monotonic clock. */
  note(parts: readonly AnswerPart[], times: readonly number[]): void;
}

/** A short way in two steps; one that knows of one step only has nothing to note. */
export function lateSink(sink: PartSink): LateSink {
  return sink.later ?? { show: (parts) => sink.take(parts), note() {} };
}

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
  /** Takes parts by the short way, where it is open; whoever knows nothing of it gives everything to the iteration. */
  direct?: PartSink;
}

/** Everything that can run a prompt. */
export interface Backend {
  /** Name for people and logs. */
  readonly name: string;
  /** Whether it has this model. */
  handles(model: ModelRef): boolean;
  /** Whether nobody but this machine sees a request for this model, as long as nothing of its answer is given. Absent: not known. */
  worksHere?(model: ModelRef): boolean;
  /**
   * Answers a request: `start`, any number of `text`, then one `end`. Nothing happens before the first event is asked
   * for. Leaving the loop, or aborting the signal, ends the work.
   *
   * @throws {ArkError} from the iteration; `cancelled` when the signal is aborted.
   */
  infer(request: InferenceRequest, options: InferOptions): AsyncIterable<InferenceEvent>;
}
