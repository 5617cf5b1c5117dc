import { createHash } from "node:crypto";
import { type NodeId, publicKeyOf, verify } from "@ark/node/identity";
import type { PartSink } from "@ark/node/inference";
import {
  type AnswerPart,
  ArkError,
  decodeFrame,
  FrameSplitter,
  type InferenceEvent,
  LIMITS,
  type Receipt,
  receiptBytes,
  type SignedReceipt,
  StreamHash,
  tokensOf,
} from "@ark/node/protocol";
import { type MeshResponse, pumpFrom, type TakeBytes } from "@ark/node/transport";
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
  /** Told each event before it is passed on; what it throws ends the answer. */
  see?(event: InferenceEvent): void;
  /** Takes parts by the short way, where it is open. */
  direct?: PartSink | undefined;
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
  response: Pick<MeshResponse, "body" | "read" | "pump">,
  options: AnswerOptions,
): AsyncGenerator<InferenceEvent | ArkError> {
  const { name, silenceMs, hangUp, heard, direct } = options;
  const body = readerOf(response);
  const answer = new AnswerFrames(options);
  using watchdog = startWatchdog(hangUp, silenceMs);
  let fault: unknown = null;
  let open = false;
  let full: Promise<void> | null = null;
  /** Takes bytes, as long as what they say goes the short way. */
  const take = (chunk: Uint8Array): null | false => {
    heard();
    try {
      // Only a whole frame is a sign of life: bytes can be dripped for ever.
      if (answer.take(chunk)) watchdog.wake(answer.receipted ? CLOSING_MS : silenceMs);
    } catch (error) {
      // What came before it is shown all the same.
      fault = error ?? new TypeError("Nothing was thrown");
    }
    if (answer.start !== null) return false;
    if (answer.unshown) {
      // Asked once: it stays open until something is given to the iteration.
      open ||= direct?.open === true;
      if (!open || direct === undefined) return false;
      full = direct.take(answer.parts());
    }
    return fault !== null || full !== null || answer.failure !== null ? false : null;
  };
  try {
    for (let ended = false; !ended;) {
      ended = await body.pump(take);
      if (full !== null) {
        // Time that our own reader takes is not the peer's silence.
        watchdog.rest();
        await full;
        watchdog.wake(silenceMs);
        full = null;
      }
      for (const event of [...answer.begun(), ...answer.parts()]) {
        open = false;
        watchdog.rest();
        yield event;
        watchdog.wake(answer.receipted ? CLOSING_MS : silenceMs);
      }
      if (fault !== null) throw fault;
      if (answer.failure !== null) return yield answer.failure;
    }
  } catch (error) {
    if (!answer.receipted || error instanceof LieError) {
      if (watchdog.barked) throw lie(name, `fell silent for ${silenceMs / 1_000} s`, error);
      throw error;
    }
  } finally {
    await body.leave();
  }
  if (answer.end === null || !answer.receipted) throw lie(name, "broke off before its answer was complete");
  yield answer.end;
}

/** Reads a body by the way that takes the fewest turns, where there is one. */
function readerOf({ body, read, pump }: Pick<MeshResponse, "body" | "read" | "pump">): {
  pump(take: TakeBytes): Promise<boolean>;
  leave(): Promise<void>;
} {
  // Whoever leaves before the end hangs up, which closes the connection.
  const leave = () => Promise.resolve();
  if (pump !== undefined) return { pump, leave };
  if (read !== undefined) return { pump: (take) => pumpFrom(read, take), leave };
  const reader = body.getReader();
  let done = false;
  const next = async () => {
    const chunk = await reader.read();
    done = chunk.done;
    return chunk.value ?? null;
  };
  return {
    pump: (take) => pumpFrom(next, take),
    leave: async () => {
      if (!done) await reader.cancel().catch(() => {});
    },
  };
}

/** What the frames of one answer say, and whether they may say it. */
class AnswerFrames {
  /** The beginning, until it was taken. */
  start: Extract<InferenceEvent, { type: "start" }> | null = null;
  /** The end, which is shown only together with its receipt: a stream without one is a cut stream. */
  end: End | null = null;
  /** The peer's own error. */
  failure: ArkError | null = null;
  /** Whether the receipt was found to be true. */
  receipted = false;
  readonly #options: AnswerOptions;
  readonly #splitter = new FrameSplitter();
  readonly #hash = new StreamHash();
  #size = 0;
  #started = false;
  #parts: AnswerPart[] = [];

  constructor(options: AnswerOptions) {
    this.#options = options;
  }

  /** Takes the next bytes; true where they complete a frame that is a sign of life. */
  take(chunk: Uint8Array): boolean {
    const { name } = this.#options;
    this.#size += chunk.length;
    if (this.#size > LIMITS.answerBytes) throw lie(name, "sent more than an answer may hold");
    let alive = false;
    for (const bytes of this.#splitter.push(chunk)) {
      if (this.failure !== null) break;
      const frame = decodeFrame(bytes);
      if (this.receipted) {
        if (frame.type === "alive") continue;
        throw lie(name, "went on after its receipt");
      }
      alive = true;
      if (frame.type === "receipt") {
        if (this.end === null) throw lie(name, "sent a receipt before the end of its answer");
        checkReceipt(frame.signed, { ...this.#options, end: this.end, stream: this.#hash.digest() });
        this.receipted = true;
        continue;
      }
      this.#hash.update(bytes);
      if (frame.type === "alive") continue;
      if (frame.type === "error") this.failure = frame.error;
      else this.#event(frame.event);
    }
    return alive;
  }

  /** Whether there are parts that were not taken yet. */
  get unshown(): boolean {
    return this.#parts.length > 0;
  }

  /** The parts that came, once. */
  parts(): AnswerPart[] {
    const parts = this.#parts;
    if (parts.length > 0) this.#parts = [];
    return parts;
  }

  /** The beginning, once. */
  begun(): InferenceEvent[] {
    const begun = this.start === null ? [] : [this.start];
    this.start = null;
    return begun;
  }

  #event(event: InferenceEvent): void {
    const { name, tally, see } = this.#options;
    if (this.end !== null || this.#started === (event.type === "start")) {
      throw lie(name, "sent its answer in a wrong order");
    }
    see?.(event);
    if (event.type === "end") {
      this.end = event;
      return;
    }
    if (event.type === "start") {
      begin(event, this.#options);
      this.start = event;
    } else {
      tally.completion_tokens = Math.min(tally.completion_tokens + tokensOf(event), Number.MAX_SAFE_INTEGER);
      this.#parts.push(event);
    }
    this.#started = true;
  }
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
