/**
 * Why a request could not be served. A closed set: each boundary (HTTP status, wire, exit code) has one table over it.
 *
 * | code | meaning |
 * |---|---|
 * | `bad_request` | the request itself is wrong; sending it again will not help |
 * | `context_exceeded` | prompt and answer do not fit into the model's context |
 * | `unauthenticated` | no valid proof of who is asking |
 * | `clock` | the signature is right, the caller's clock is not |
 * | `replay` | this very request was seen before |
 * | `forbidden` | known caller, not permitted |
 * | `model_not_shared` | known caller, not permitted for this model |
 * | `revoked` | the caller was approved once and is no more |
 * | `too_large` | more bytes than the limit |
 * | `busy` | a limit is reached now; try again later |
 * | `audit_unavailable` | the act cannot be recorded, so it is not done |
 * | `model_not_found` | nobody within reach has the model |
 * | `unavailable` | the one who should answer cannot be reached, or broke off |
 * | `engine_failed` | the engine could not load or run the model |
 * | `cancelled` | the caller went away or the node is stopping |
 * | `internal` | a fault of ours |
 */
export const ERROR_CODES = [
  "bad_request",
  "context_exceeded",
  "unauthenticated",
  "clock",
  "replay",
  "forbidden",
  "model_not_shared",
  "revoked",
  "too_large",
  "busy",
  "audit_unavailable",
  "model_not_found",
  "unavailable",
  "engine_failed",
  "cancelled",
  "internal",
] as const;

/** One of {@linkcode ERROR_CODES}. */
export type ErrorCode = typeof ERROR_CODES[number];

/** Options of {@linkcode ArkError}. */
export interface ArkErrorOptions extends ErrorOptions {
  /** When to try again, in seconds, where that is known. */
  retryAfterSeconds?: number;
}

/**
 * An expected failure. The message is one sentence for a person (what failed, why, what to do) and never holds text of
 * a prompt or an answer.
 */
export class ArkError extends Error {
  /** Always `"ArkError"`. */
  override readonly name = "ArkError";
  /** Why, from the closed set. */
  readonly code: ErrorCode;
  /** When to try again, in seconds, where that is known. */
  readonly retryAfterSeconds: number | undefined;

  /** Makes an error with a code of the closed set and a sentence for a person. */
  constructor(code: ErrorCode, message: string, options: ArkErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** Whether a text is one of {@linkcode ERROR_CODES}. */
export function isErrorCode(text: unknown): text is ErrorCode {
  return (ERROR_CODES as readonly unknown[]).includes(text);
}

/** Turns whatever was thrown into an {@linkcode ArkError}: itself, `cancelled` for an abort, else `internal`. */
export function toArkError(thrown: unknown): ArkError {
  if (thrown instanceof ArkError) return thrown;
  if (thrown instanceof DOMException && (thrown.name === "AbortError" || thrown.name === "TimeoutError")) {
    return new ArkError("cancelled", "The request was cancelled", { cause: thrown });
  }
  return new ArkError("internal", "The node met an unexpected fault; its log has the details", { cause: thrown });
}

/** What was thrown, in words: an error's message, and of anything else its text. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
