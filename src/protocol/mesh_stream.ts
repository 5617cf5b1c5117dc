import { Buffer } from "node:buffer";
import { ArkError, type ErrorCode, isErrorCode } from "./errors.ts";
import { isCount } from "./count.ts";
import { decodeInferenceEvent, isFinishReason } from "./decode_event.ts";
import type { InferenceEvent } from "./inference.ts";
import { LIMITS } from "./limits.ts";
import { decodeTextFrame, encodeTextFrame } from "./text_frame.ts";
import type { Receipt } from "./receipt.ts";

/** A receipt with its Ed25519 signature in base64. */
export interface SignedReceipt {
  /** What is stated. */
  receipt: Receipt;
  /** Signature of the serving node over `receiptBytes(receipt)`: 64 bytes in base64. */
  signature: string;
}

/**
 * One frame of an answer between nodes, as server-sent events:
 *
 * | frame | meaning |
 * |---|---|
 * | `data: {InferenceEvent}` | a step of the answer |
 * | `event: ark-error` + `data: {"error":{"code","message"}}` | the answer failed; nothing follows |
 * | `event: ark-receipt` + `data: {SignedReceipt}` | the answer is complete; nothing follows |
 * | `: …` | a sign of life |
 */
export type MeshFrame =
  | { type: "event"; event: InferenceEvent }
  | { type: "error"; error: ArkError }
  | { type: "receipt"; signed: SignedReceipt }
  | { type: "alive" };

/** 64 bytes in base64, spelt in the one way in which the bits that are left over are 0. */
const SIGNATURE_REGEXP = /^[A-Za-z0-9+/]{85}[AQgw]==$/;
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder("utf-8", { fatal: true });
const NOTHING = new Uint8Array(0);

/** Encodes one step of an answer. */
export function encodeEventFrame(event: InferenceEvent): Uint8Array<ArrayBuffer> {
  return ENCODER.encode(`data: ${JSON.stringify(event)}\n\n`);
}

/** Encodes several steps that follow each other, as one piece of bytes. */
export function encodeEventFrames(events: readonly InferenceEvent[]): Uint8Array<ArrayBuffer> {
  const [only] = events;
  const short = only === undefined || events.length > 1 ? null : encodeTextFrame(only);
  if (short !== null) return short;
  let text = "";
  for (const event of events) text += `data: ${JSON.stringify(event)}\n\n`;
  return Buffer.from(text);
}

/** Encodes a failure; the stream ends after it. */
export function encodeErrorFrame({ code, message }: ArkError): Uint8Array<ArrayBuffer> {
  return ENCODER.encode(`event: ark-error\ndata: ${JSON.stringify({ error: { code: `ark_${code}`, message } })}\n\n`);
}

/** Encodes the receipt; the stream ends after it. */
export function encodeReceiptFrame(signed: SignedReceipt): Uint8Array<ArrayBuffer> {
  return ENCODER.encode(`event: ark-receipt\ndata: ${JSON.stringify(signed)}\n\n`);
}

/** A comment that shows that the serving node is still there while there is nothing to say. */
export const ALIVE_FRAME: Uint8Array<ArrayBuffer> = ENCODER.encode(": alive\n\n");

/**
 * Cuts a stream of bytes into the raw bytes of whole frames, blank line included.
 *
 * A frame longer than 256 KiB is refused, and no more than that is held back. The work is linear in the bytes, however
 * small the chunks are.
 */
export class FrameSplitter {
  /** The first `#length` bytes belong to an unfinished frame. */
  #held: Uint8Array<ArrayBuffer> = NOTHING;
  #length = 0;

  /**
   * Takes the next bytes and returns the frames that they complete.
   *
   * @throws {ArkError} `unavailable` when a frame is too long.
   */
  push(chunk: Uint8Array): Uint8Array[] {
    const bytes = this.#length === 0 ? chunk : this.#append(chunk);
    const frames: Uint8Array[] = [];
    let start = 0;
    let from = bytes === chunk ? 0 : Math.max(0, this.#length - chunk.length - 1);
    for (let end = bytes.indexOf(10, from); end !== -1; end = bytes.indexOf(10, from)) {
      from = end + 1;
      if (bytes[from] !== 10) continue;
      frames.push(start === 0 && from + 1 === bytes.length ? bytes : bytes.subarray(start, from + 1));
      start = from = from + 1;
      if (start === bytes.length) break;
    }
    // Frames are views of these bytes, so what follows them goes on in memory of its own.
    if (start === bytes.length) this.#held = NOTHING;
    else if (start > 0 || bytes === chunk) this.#held = bytes.slice(start);
    this.#length = bytes.length - start;
    if (this.#length > LIMITS.eventBytes || frames.some(({ length }) => length > LIMITS.eventBytes)) throw tooLong();
    return frames;
  }

  /** Whether bytes of an unfinished frame are held back. */
  get unfinished(): boolean {
    return this.#length > 0;
  }

  #append(chunk: Uint8Array): Uint8Array {
    const length = this.#length + chunk.length;
    if (length > this.#held.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#held.length));
      larger.set(this.#held.subarray(0, this.#length));
      this.#held = larger;
    }
    this.#held.set(chunk, this.#length);
    this.#length = length;
    return this.#held.subarray(0, length);
  }
}

/**
 * Reads one whole frame.
 *
 * @throws {ArkError} `unavailable` when it is no frame of the protocol.
 */
export function decodeFrame(frame: Uint8Array): MeshFrame {
  if (frame.length > LIMITS.eventBytes) throw tooLong();
  if (frame[0] === 58) return { type: "alive" };
  const event = decodeTextFrame(frame);
  if (event !== null) return { type: "event", event };
  try {
    const text = DECODER.decode(frame).trimEnd();
    if (text.startsWith("data: ")) return { type: "event", event: decodeInferenceEvent(JSON.parse(text.slice(6))) };
    const [, name, data] = text.match(/^event: (ark-error|ark-receipt)\ndata: ([^\n]*)$/) ?? [];
    if (name === "ark-error") return { type: "error", error: decodePeerError(JSON.parse(data ?? "")) };
    if (name === "ark-receipt") return { type: "receipt", signed: decodeSignedReceipt(JSON.parse(data ?? "")) };
  } catch (error) {
    if (error instanceof ArkError) throw error;
    throw new ArkError("unavailable", "The peer sent an event that is not part of the protocol", { cause: error });
  }
  throw new ArkError("unavailable", "The peer sent an event that is not part of the protocol");
}

/** Turns a peer's error body `{"error":{"code":"ark_…","message"}}` into an error; what is unknown is `unavailable`. */
export function decodePeerError(value: unknown): ArkError {
  const error = (value as { error?: { code?: unknown; message?: unknown } | null } | null)?.error;
  const said = typeof error?.code === "string" ? error.code.replace(/^ark_/, "") : "";
  // The uniform refusal is spelt otherwise on the wire.
  const code = said === "unauthorized" ? "unauthenticated" : said;
  const known: ErrorCode = isErrorCode(code) ? code : "unavailable";
  // A peer's text is shown to a person: one line, printable, short.
  const reason = typeof error?.message === "string" ? error.message.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, " ") : "";
  return new ArkError(known, [...reason].slice(0, 300).join("").trim() || "The peer gave no reason");
}

function decodeSignedReceipt(value: unknown): SignedReceipt {
  const { receipt, signature } = value as { receipt?: Partial<Receipt>; signature?: unknown };
  if (
    typeof signature !== "string" || !SIGNATURE_REGEXP.test(signature) || typeof receipt !== "object" ||
    receipt === null ||
    typeof receipt.request !== "string" || typeof receipt.stream !== "string" || typeof receipt.model !== "string" ||
    !isCount(receipt.prompt_tokens) || !isCount(receipt.completion_tokens) ||
    !isFinishReason(receipt.finish_reason) ||
    (receipt.leaf !== undefined && (!isCount(receipt.leaf) || receipt.leaf < 1))
  ) throw new ArkError("unavailable", "The peer sent a receipt that is not part of the protocol");
  return {
    receipt: {
      request: receipt.request,
      stream: receipt.stream,
      model: receipt.model,
      digest: typeof receipt.digest === "string" ? receipt.digest : null,
      prompt_tokens: receipt.prompt_tokens,
      completion_tokens: receipt.completion_tokens,
      finish_reason: receipt.finish_reason,
      ...receipt.leaf === undefined ? {} : { leaf: receipt.leaf },
    },
    signature,
  };
}

function tooLong(): ArkError {
  return new ArkError("unavailable", "The peer sent an event that is too long");
}
