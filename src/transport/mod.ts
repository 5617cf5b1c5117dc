/**
 * Requests between nodes: who sent them is proved by an Ed25519 signature over the request, and where they go by TLS 1.3
 * that is pinned to the receiver's key.
 *
 * - {@linkcode listenMesh} gives the handler only requests with a valid and fresh signature of an approved key. All others
 *   get one and the same refusal, so that a stranger learns nothing; nothing of a body is read before that is settled. A
 *   connection carries one request at a time.
 * - {@linkcode MeshClient} sends signed requests, and returns only answers that the asked node signed for that request.
 * - {@linkcode presentedKey} finds out which key answers at an address.
 *
 * The signature is RFC 9421, profile `ark-peer/1`: one label, one list of components, compared byte for byte. A request is
 * accepted once; where the clocks differ, or the receiver has just started, it asks for a nonce of its own, which costs one
 * round trip and which {@linkcode MeshClient} does by itself.
 *
 * Beside it, without encryption and for the owner's own programs and servers: {@linkcode listenPlain} and
 * {@linkcode PlainClient}, HTTP/1.1 over sockets, since every layer more is paid for with each token.
 *
 * Not here: who is approved and what they may do (`peers`), and what is said (`protocol`, `http`). Limits: an answer's
 * body is protected by TLS alone, its head is signed; what a stream said as a whole is signed by its receipt.
 *
 * @example
 * ```ts
 * import { generateIdentity } from "@ark/node/identity";
 * import { listenMesh, MeshClient } from "@ark/node/transport";
 *
 * const [alice, bob] = [generateIdentity(), generateIdentity()];
 * await using listener = await listenMesh({
 *   identity: bob,
 *   hostname: "127.0.0.1",
 *   port: 0,
 *   standing: (id) => id === alice.id ? "approved" : "unknown",
 *   handler: (request) => Promise.resolve(Response.json({ path: new URL(request.url).pathname })),
 * });
 * await using client = new MeshClient({ identity: alice });
 * const to = { id: bob.id, addresses: [{ hostname: listener.hostname, port: listener.port }] };
 * const response = await client.request(to, { method: "GET", path: "/ark/v1/offer", deadlineMs: 5_000 });
 * console.log(await new Response(response.body).json()); // { path: "/ark/v1/offer" }
 * ```
 *
 * @module
 */
export { boundedBytes, type BoundedBytesOptions, boundedText } from "./bounded_bytes.ts";
export type { Standing } from "./authenticator.ts";
export * from "./caller.ts";
export * from "./clock.ts";
export { type FixedBody, fixedBody, fixedResponse } from "./fixed_body.ts";
export type { MeshCall, MeshPeer, MeshResponse } from "./mesh_call.ts";
export * from "./mesh_client.ts";
export * from "./mesh_limits.ts";
export type { Introductions, MeshListenOptions, Refusal } from "./mesh_listen_options.ts";
export * from "./mesh_listener.ts";
export * from "./peer_address.ts";
export { checkPin, type PinVerdict } from "./pin_check.ts";
export { listenPlain, type PlainLimits, PlainListener, type PlainListenOptions } from "./plain_listener.ts";
export type { PlainHandler, PlainTimes } from "./plain_connection.ts";
export { pumpFrom, type TakeBytes } from "./pump.ts";
export { notePushed, type PushedBody, pushedBody } from "./pushed_body.ts";
export { type MeshRequest, signedBody } from "./mesh_request.ts";
export { wholeBody } from "./whole_body.ts";
export type { ByteSink } from "./socket_writer.ts";
export { PlainClient, type PlainClientOptions, type PlainRequest } from "./plain_client.ts";
export type { PlainResponse } from "./plain_exchange.ts";
export { DIAL_TIMES, type DialTimes } from "./pinned_connection.ts";
export * from "./presented_key.ts";
export { sourceOf } from "./source_limiter.ts";
