import type { AnswerPart, ArkError, ErrorCode, InferenceEvent } from "@ark/node/protocol";
import type { Attempt } from "./attempt.ts";
import type { Choice } from "./choices.ts";
import type { AnswerStart } from "./transcript.ts";

/** The beginning and the first part of an answer. */
export interface Beginning {
  /** How it begins. */
  readonly start: AnswerStart;
  /** Its first part, or its end where there is none. */
  readonly event: InferenceEvent;
  /** Parts before it, which the token that it tells completed, too. */
  readonly before: readonly AnswerPart[];
}

/** The one whose first part is there. */
export interface Lead extends Beginning {
  /** Goes on with it. */
  readonly attempt: Attempt;
}

/** A candidate that was asked, and its beginning once that is there. */
export interface Begun {
  /** The request to it. */
  readonly attempt: Attempt;
  /** Rejected with an `ArkError`. */
  readonly beginning: Promise<Beginning>;
}

/**
 * How one is asked: while no other one is; beside another one, so that a prompt may be read twice; or instead of one in whose
 * line the request waits, where whoever begins first keeps it.
 */
export type HowAsked = "alone" | "beside" | "instead";

/** What `FirstToken` goes by. */
export interface FirstTokenOptions {
  /** Who may be asked, best first. */
  line: readonly Choice[];
  /** Aborted when the answer is not wanted any more: then nobody else is asked. */
  signal: AbortSignal;
  /** One who is asked already. */
  begun?: Begun | null;
  /** How many are asked at once from the beginning. @default {1} */
  atOnce?: number;
  /** Asks one, beside others or not. */
  ask(choice: Choice, how: HowAsked): Attempt;
  /** One has begun, and nobody else is asked meanwhile. */
  started(attempt: Attempt): void;
  /** Stops one that is not needed: another one leads, or nobody wants the answer. */
  stop(attempt: Attempt): void;
  /** One failed. True where it is to be asked the same in another form. */
  failed(attempt: Attempt, error: ArkError): boolean;
  /** Whether another one may do better than one that failed; absent: as `TRY_NEXT` says. */
  tryNext?(code: ErrorCode): boolean;
  /** Looks whether one may lead; throws an `ArkError` where it may not. */
  accept?(start: AnswerStart): void;
  /** How long one may take to its first part, in milliseconds, as long as there are others. */
  patienceMs(choice: Choice, started: boolean): number;
  /** Whether one in the line is worth giving up another one for that is late; absent: each is. */
  sound?(choice: Choice): boolean;
  /** When somebody is asked beside the first one, in milliseconds; absent: never. */
  hedgeMs?(choice: Choice): number;
  /** Who that is, or undefined. */
  hedge?(line: readonly Choice[]): Choice | undefined;
  /** Who would begin so much sooner than one in whose line the request waits that it is asked instead; absent: never. */
  elsewhere?(waiting: Choice): Choice | undefined;
  /** The request was taken back from one that had not begun with it. */
  tookBack?(waiting: Choice): void;
}
