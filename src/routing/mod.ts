/**
 * Chooses who answers a request, and asks a peer when that is better or the only way.
 *
 * - {@linkcode PeerTable} keeps, for each approved peer, what it offers *to us*, whether it is reachable and how far it
 *   is, by asking it over the signed channel every few seconds.
 * - {@linkcode RemoteBackend} is one peer as a `Backend`. Only model, input and parameters travel; the act is recorded
 *   durably before it is sent; an answer whose signature, order of events or receipt is wrong is an error, and its peer is
 *   not chosen again before it has answered.
 * - {@linkcode Upstream} is a server that the owner named, which speaks OpenAI's API (llama.cpp, vLLM, Ollama, a hosted one),
 *   as a `Backend`: its models are merged with the others, and its stream is passed on as it comes.
 * - {@linkcode rank} decides, as a pure function; {@linkcode Router} is the `Backend` made of all the others. It tries the
 *   next candidate as long as no text has been shown, and holds `start` back until then.
 *
 * The mesh listener is never given a `Router`: a request takes one hop.
 *
 * @example
 * ```ts
 * import { rank } from "@ark/node/routing";
 *
 * const peer = { local: false, loaded: true, inFlight: 0, slots: 1, queued: 0, roundTripMs: 2, loadMs: null };
 * const order = rank([
 *   { ...peer, key: "a", name: "old laptop", promptRate: 80, generationRate: 6, successRate: 1 },
 *   { ...peer, key: "b", name: "workstation", promptRate: 900, generationRate: 60, successRate: 1 },
 * ], { promptTokens: 512, answerTokens: 256 });
 * console.log(order.map((candidate) => candidate.name)); // ["workstation", "old laptop"]
 * ```
 *
 * @module
 */
export type { BreakerState } from "./breakers.ts";
export * from "./candidate_pool.ts";
export type { LocalEngine, OwnSpeed, RoutedUpstream } from "./choices.ts";
export * from "./claims.ts";
export type { HedgeSetting } from "./hedging.ts";
export * from "./observations.ts";
export * from "./peer_table.ts";
export * from "./rank.ts";
export * from "./remote_backend.ts";
export * from "./reputation.ts";
export * from "./rotation_announcer.ts";
export * from "./route.ts";
export type { RoutedModel } from "./routed_models.ts";
export * from "./router.ts";
export type { StallSetting } from "./stall_rule.ts";
export { type SharedEngine, type SharedModel, withUpstreams } from "./upstream/shared_engine.ts";
export { Upstream, type UpstreamOptions, type UpstreamStatus } from "./upstream/upstream.ts";
export type { UpstreamModel } from "./upstream/upstream_models.ts";
