import { createHash } from "node:crypto";
import { type NodeId, publicKeyOf, verify } from "@ark/node/identity";
import {
  ArkError,
  decodeFrame,
  FrameSplitter,
  type InferenceEvent,
  LIMITS,
  type Receipt,
  receiptBytes,
  type SignedReceipt,
  tokensOf,
} from "@ark/node/protocol";
import type { MeshResponse } from "@ark/node/transport";
import { startWatchdog } from "./watchdog.ts";

/** What one answer has come to so far; for the record. */
export interface Tally {
  /** Model that answers. */
  model: string;
  /** SHA-256 of its file, hex. */
  digest: string | null;
  /** Tokens of the prompt. */
  prompt_tokens: number;
  /** Tokens of the answer. */
  completion_tokens: number;
  /** SHA-256 of the signature of our request, hex. */
  request: string | null;
  /** SHA-256 of the signature of the receipt, hex. */
  receipt: string | null;
}

/** What {@linkcode readAnswer} holds an answer against. */
export interface AnswerOptions {
  /** Whose signature counts. */
  id: NodeId;
  /** The peer's label, for messages. */
  name: string;
  /** Model that must answer, or null where the peer may choose. */
  model: string | null;
  /** Is filled in as the answer arrives. */
  tally: Tally;
  /** Longest silence, in milliseconds. */
  silenceMs: number;
  /** Closes the connection, so that reading fails. */
  hangUp(): void;
  /** Called whenever something arrives. */
  heard(): void;
}

type End = Extract<InferenceEvent, { type: "end" }>;

/** How long the end of the transport's stream may follow the receipt: then the connection can serve the next request. */
const CLOSING_MS = 250;

/**
 * Reads a peer's stream: the events of an honest answer, with `end` only when the receipt was found to be true. The
 * peer's own error is yielded as the last item.
 *
 * @throws {ArkError} `unavailable` when the stream breaks, falls silent, grows too long or is not what its receipt says.
 */
export async function* readAnswer(
  { body }: Pick<MeshResponse, "body">,
  options: AnswerOptions,
): AsyncGenerator<InferenceEvent | ArkError> {
  const { name, tally, silenceMs, hangUp, heard } = options;
  const splitter = new FrameSplitter();
  const hash = createHash("sha256");
  let size = 0;
  let started = false;
  let end: End | null = null;
  let receipted = false;
  using watchdog = startWatchdog(hangUp, silenceMs);
  try {
    for await (const chunk of body) {
      heard();
      size += chunk.length;
      if (size > LIMITS.answerBytes) throw lie(name, "sent more than an answer may hold");
      for (const bytes of splitter.push(chunk)) {
        const frame = decodeFrame(bytes);
        if (receipted) {
          if (frame.type === "alive") continue;
          throw lie(name, "went on after its receipt");
        }
        // Only a whole frame is a sign of life: bytes can be dripped for ever.
        watchdog.wake(silenceMs);
        if (frame.type === "receipt") {
          if (end === null) throw lie(name, "sent a receipt before the end of its answer");
          checkReceipt(frame.signed, { ...options, end, stream: hash.digest("hex") });
          receipted = true;
          watchdog.wake(CLOSING_MS);
          continue;
        }
        hash.update(bytes);
        if (frame.type === "alive") continue;
        if (frame.type === "error") return yield frame.error;
        const { event } = frame;
        if (end !== null || started === (event.type === "start")) throw lie(name, "sent its answer in a wrong order");
        if (event.type === "end") {
          // Shown only together with its receipt: a stream without one is a cut stream.
          end = event;
          continue;
        }
        if (event.type === "start") begin(event, options);
        else tally.completion_tokens = Math.min(tally.completion_tokens + tokensOf(event), Number.MAX_SAFE_INTEGER);
        started = true;
        // Time that our own reader takes is not the peer's silence.
        watchdog.rest();
        yield event;
        watchdog.wake(silenceMs);
      }
    }
  } catch (error) {
    if (!receipted || error instanceof LieError) {
      if (watchdog.barked) throw lie(name, `fell silent for ${silenceMs / 1_000} s`, error);
      throw error;
    }
  }
  if (end === null || !receipted) throw lie(name, "broke off before its answer was complete");
  yield end;
}

/** An answer that is not what the protocol, or the answer itself, says. */
class LieError extends ArkError {}

function lie(name: string, what: string, cause?: unknown): ArkError {
  return new LieError("unavailable", `${name} ${what}`, { cause });
}

function begin(start: Extract<InferenceEvent, { type: "start" }>, { name, model, tally }: AnswerOptions): void {
  if (model !== null && start.model !== model) throw lie(name, "answered with another model than it was asked for");
  tally.model = start.model;
  tally.digest = start.digest;
  tally.prompt_tokens = start.prompt_tokens;
}

function checkReceipt(
  { signature, receipt: { leaf } }: SignedReceipt,
  expected: AnswerOptions & { end: End; stream: string },
): void {
  const { id, name, tally, end, stream } = expected;
  const bytes = Uint8Array.fromBase64(signature);
  const stated: Receipt = {
    request: tally.request ?? "",
    stream,
    model: tally.model,
    digest: tally.digest,
    ...end.usage,
    finish_reason: end.finish_reason,
    // Where the peer recorded the request is its own affair; that it said so is signed.
    ...leaf === undefined ? {} : { leaf },
  };
  // The signature must be over what we saw: what the peer says beside it proves nothing.
  if (!verify(publicKeyOf(id), receiptBytes(stated), bytes)) {
    throw lie(name, "sent a receipt that does not match its answer");
  }
  tally.prompt_tokens = end.usage.prompt_tokens;
  tally.completion_tokens = end.usage.completion_tokens;
  tally.receipt = createHash("sha256").update(bytes).digest("hex");
}
