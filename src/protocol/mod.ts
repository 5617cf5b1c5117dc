/**
 * Every message that two parts of ark-node exchange, with its limits, its version and its error codes.
 *
 * The codecs here are pure and total: `decode…` takes any JSON value and either returns a value of the stated type or
 * throws an {@linkcode ArkError}: with code `bad_request` where a caller wrote it, `unavailable` where it is a peer's
 * answer. They never read past a named limit of {@linkcode LIMITS}. Nothing here does I/O, reads a clock or knows who is
 * calling.
 *
 * An {@linkcode InferenceRequest} has no field for a user, a session or a system: what cannot be written cannot leak.
 *
 * @example
 * ```ts
 * import { decodeInferenceRequest } from "@ark/node/protocol";
 *
 * const request = decodeInferenceRequest({
 *   model: "llama3.1:8b",
 *   input: { kind: "chat", messages: [{ role: "user", content: "Hello" }] },
 *   parameters: { max_tokens: 16 },
 * });
 * console.log(request.model); // "llama3.1:8b"
 * ```
 *
 * @module
 */
export * from "./bitfield.ts";
export * from "./blobs.ts";
export * from "./canonical_json.ts";
export * from "./capability.ts";
export { decodeAnswerPart, decodeInferenceEvent, decodeUsage, isFinishReason } from "./decode_event.ts";
export * from "./decode_request.ts";
export { decodeSchema } from "./decode_value.ts";
export * from "./errors.ts";
export { isSafeName } from "./file_name.ts";
export * from "./hardware.ts";
export * from "./inference.ts";
export * from "./invitation.ts";
export * from "./limits.ts";
export * from "./mesh_stream.ts";
export * from "./model_manifest.ts";
export * from "./offer.ts";
export * from "./offer_update.ts";
export * from "./wake.ts";
export * from "./pairing.ts";
export * from "./receipt.ts";
export * from "./registration.ts";
export * from "./stream_hash.ts";
export * from "./token_ids.ts";
