/**
 * Chooses who answers a request, and asks a peer when that is better or the only way.
 *
 * - {@linkcode PeerTable} keeps, for each approved peer, what it offers *to us*, whether it is reachable and how far it
 *   is, by asking it over the signed channel every few seconds.
 * - {@linkcode RemoteBackend} is one peer as a `Backend`. Only model, input and parameters travel; the act is recorded
 *   durably before anything of the answer is given, which is while it is on its way; an answer whose signature, order of events or receipt is wrong is an error, and its peer is
 *   not chosen again before it has answered.
 * - {@linkcode Upstream} is a server that the owner named, which speaks OpenAI's API (llama.cpp, vLLM, Ollama, a hosted one),
 *   as a `Backend`: its models are merged with the others, and its stream is passed on as it comes.
 * - {@linkcode Observations} is what this node saw of each: speeds, first tokens, pauses, success; {@linkcode expectedRates}
 *   makes of that, and of what a peer claims, the speeds to reckon with. {@linkcode Reputation} is how far each can be relied
 *   on and how true its claims are: local, fading, kept over a restart, shown and forgotten on demand.
 * - {@linkcode CandidatePool} finds the best of very many candidates in microseconds while their numbers change.
 * - {@linkcode rank} decides, as a pure function; {@linkcode Router} is the `Backend` made of all the others.
 *
 * What happens to a request when whoever answers it fails or is slow:
 *
 * | when | one fails | one is slow |
 * |---|---|---|
 * | until the first part | the next candidate is asked, and who can be reached gets a second chance | a second one is asked beside it, see {@linkcode HedgeSetting}; the first part leads, and `start` is held back until then |
 * | after it | another node with the same weights goes on from the tokens that were shown | that node begins to read at half of a stall, see {@linkcode StallSetting}, and goes on where it is faster than the silence |
 *
 * The reader sees one answer, each token once. Where nobody has the same weights, or the answer does not tell its tokens
 * (vectors, upstream servers, peers of an earlier version, more than {@linkcode LIMITS.resumedTokens}), it ends with the
 * error of the one who failed, never silently. Not promised: that the rest is what the first one would have written. Tokens
 * are prompt and answer, and are told to approved peers that offer the model and to nobody else.
 * What somebody is at already goes elsewhere where it ends clearly sooner, unless {@linkcode MoveSetting} is off: a request that
 * waits in a line is put into that of one who is free as well, and the first that begins keeps it, so that nothing is read twice;
 * an answer that turns out long goes on once at a much faster node that is free, for one request in twenty at most. Of the last
 * twenty requests to a peer no more than eight are taken back. What is taken back from a peer's line counts there against the
 * tokens of a day, where its owner limits those.
 *
 * - {@linkcode RequestLedger} keeps the journeys of the last requests, {@linkcode densityGrid} says what all nodes have together
 *   and what would be lost without each, and {@linkcode tracedAttempt} makes a span of each candidate that is asked.
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
export * from "./answer_lengths.ts";
export * from "./better_place.ts";
export type { BreakerState } from "./breakers.ts";
export * from "./candidate_pool.ts";
export type { LocalEngine, OwnSpeed, RoutedUpstream } from "./choices.ts";
export * from "./claims.ts";
export * from "./density_grid.ts";
export type { HedgeSetting } from "./hedging.ts";
export * from "./kept_reputation.ts";
export * from "./observations.ts";
export { Moves, type MoveSetting } from "./moves.ts";
export { readJson } from "./peer_refusal.ts";
export * from "./peer_table.ts";
export type { PeerTableOptions } from "./peer_table_options.ts";
export * from "./peer_view.ts";
export { type Candidate, type Demand, estimateMs, rank, type Work } from "./rank.ts";
export * from "./remote_backend.ts";
export * from "./replicas.ts";
export * from "./reputation.ts";
export * from "./request_ledger.ts";
export * from "./rotation_announcer.ts";
export * from "./route.ts";
export type { RoutedModel } from "./routed_models.ts";
export type { AsleepModel, Sleepers } from "./sleepers.ts";
export * from "./router.ts";
export type { StallSetting } from "./stall_rule.ts";
export * from "./traced_attempt.ts";
export { type MeasuredSpeeds, type SharedEngine, type SharedModel, withUpstreams } from "./upstream/shared_engine.ts";
export { Upstream, type UpstreamOptions, type UpstreamStatus } from "./upstream/upstream.ts";
export type { UpstreamModel } from "./upstream/upstream_models.ts";
