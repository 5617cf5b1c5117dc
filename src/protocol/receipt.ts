import type { FinishReason } from "./inference.ts";

/** Domain of the signature over a {@linkcode Receipt}. */
export const RECEIPT_DOMAIN = "ark-receipt/1\n";

/**
 * Signed statement of the serving node at the end of a stream: what it answered, to which request. Together with the
 * signed request it is the evidence that both sides keep.
 */
export interface Receipt {
  /** SHA-256 of the request's signature, hex. */
  request: string;
  /** SHA-256 of all bytes of the stream before the receipt, hex. */
  stream: string;
  /** Model that answered, as the serving node calls it. */
  model: string;
  /** SHA-256 of the model's file in hex, or null where it is not known. */
  digest: string | null;
  /** Tokens of the prompt. */
  prompt_tokens: number;
  /** Tokens of the answer. */
  completion_tokens: number;
  /** Why the answer ended. */
  finish_reason: FinishReason;
  /** Number of the entry in the serving node's audit log that records the request's start; absent in older receipts. */
  leaf?: number;
}

/** The bytes that are signed: domain, then the fields in the order of the type, as JSON without spaces or absent ones. */
export function receiptBytes(receipt: Receipt): Uint8Array<ArrayBuffer> {
  const { request, stream, model, digest, prompt_tokens, completion_tokens, finish_reason, leaf } = receipt;
  const ordered = { request, stream, model, digest, prompt_tokens, completion_tokens, finish_reason, leaf };
  return new TextEncoder().encode(RECEIPT_DOMAIN + JSON.stringify(ordered));
}
