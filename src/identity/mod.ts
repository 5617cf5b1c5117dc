/**
 * Who a node is: its Ed25519 key, and the id that is this key in another spelling.
 *
 * - A {@linkcode NodeId} is the key plus four check characters, so that a mistyped one is noticed, and it can always be
 *   turned back into the key. Names of nodes are labels and live elsewhere.
 * - {@linkcode verify} is strict: weak keys (small order), non-canonical spellings and malleable signatures are refused,
 *   which the runtime alone does not do.
 * - {@linkcode loadIdentity} never starts with a key that other users can read, and never replaces a key file.
 * - {@linkcode prepareRotation} and {@linkcode finishRotation} give a node another key, with a statement that the old and
 *   the new one sign. A crash at any point loses neither; whether peers believe the statement is theirs to say (`peers`).
 *
 * Not here: who is trusted (`peers`), and how requests are signed (`transport`).
 *
 * @example
 * ```ts
 * import { formatNodeId, generateIdentity, parseNodeId, publicKeyOf, verify } from "@ark/node/identity";
 *
 * const identity = generateIdentity();
 * const message = new TextEncoder().encode("ark-example/1\nHello");
 * const signature = identity.sign(message);
 *
 * const typed = formatNodeId(identity.id).toUpperCase();
 * console.log(verify(publicKeyOf(parseNodeId(typed)), message, signature)); // true
 * ```
 *
 * @module
 */
export * from "./environment.ts";
export * from "./identity.ts";
export { IdentityError, loadIdentity } from "./key_file.ts";
export * from "./key_rotation.ts";
export * from "./node_id.ts";
export { formatPublicKey, isAcceptableKey, parsePublicKey } from "./public_key.ts";
export * from "./rotation.ts";
export * from "./verify.ts";
