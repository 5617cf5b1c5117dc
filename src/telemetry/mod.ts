/**
 * What a node tells about itself: log lines, metrics, and events for the dashboard.
 *
 * Promises:
 * - Nothing here carries text of a prompt or an answer. {@linkcode Logger} writes an allow-list of fields and drops the
 *   rest, {@linkcode ArkEvent} is a closed union, labels of {@linkcode Metrics} are bounded in length and number.
 * - Names that others chose cannot forge a line, move a cursor or turn text around: see {@linkcode escaped}.
 * - Telling never holds the node up: a full queue drops its oldest events and counts them, a terminal that is gone
 *   is ignored.
 *
 * Not promised: that a message is kept. What must be kept is the audit log's.
 *
 * What a node counts and shows at `/metrics`, as Prometheus text. Labels have values of closed sets, but for `peer`: the
 * first eight characters of the ids of at most 64 approved peers, which are shown to whoever sends the admin token and to no
 * other program. No label is the name of a model, a key or a node.
 *
 * | metric | kind | labels | what |
 * |---|---|---|---|
 * | `ark_requests_total` | counter | `direction` (`own`, `out`, `in`), `outcome` | requests that ended: answered here, asked of a peer, asked by a peer |
 * | `ark_requests_running` | gauge | `direction` | requests that run |
 * | `ark_request_ms` | histogram | `direction` | how long they took, in milliseconds |
 * | `ark_tokens_total` | counter | `direction` | tokens that models wrote |
 * | `ark_answers_total` | counter | `where` (`local`, `peer`, `upstream`, `nowhere`), `outcome` | the owner's requests that ended, by where the answer came from |
 * | `ark_time_to_first_token_seconds` | histogram | `where` | from the owner's request to its first token |
 * | `ark_inter_token_seconds` | histogram | `where` | between two tokens of an answer |
 * | `ark_failovers_total` | counter | `code`, `stage` (`before_first_token`, `streaming`) | candidates that failed while they were asked |
 * | `ark_continuations_total` | counter | | answers that another node went on with |
 * | `ark_moves_total` | counter | | answers that another node went on with because it is faster |
 * | `ark_continuation_gap_seconds` | histogram | | how long a client then got nothing |
 * | `ark_hedges_total` | counter | `result` (`started`, `won`, `wasted`) | second nodes that were asked because a first token was late |
 * | `ark_backups_total` | counter | `result` | second nodes that read along because a running answer was silent |
 * | `ark_breakers` | gauge | `state` (`open`, `half_open`) | pairs of node and model that are set aside because they failed |
 * | `ark_queue_length` | gauge | | requests that wait for this node's models |
 * | `ark_models_loaded` | gauge | | models in memory |
 * | `ark_model_loads_total` | counter | | requests for which a model was loaded here |
 * | `ark_model_load_seconds` | histogram | | how long that took |
 * | `ark_memory_short` | gauge | | 1 while this node has too little memory to work for peers |
 * | `ark_peers` | gauge | `state` | approved peers, by how they stand |
 * | `ark_offer_changes_total` | counter | | times that what a peer offers was found changed, looked at once a second |
 * | `ark_peer_requests_running` | gauge | `peer` | requests of ours that a peer answers |
 * | `ark_peer_round_trip_seconds` | gauge | `peer` | smoothed round trip to it |
 * | `ark_peer_reliability_ratio` | gauge | `peer` | its reputation: how far its answers come to their end, 0 to 1 |
 * | `ark_upload_bytes_total` | counter | | bytes of models' files that peers downloaded from here |
 * | `ark_peer_upload_bytes_total` | counter | `peer` | the same by peer, for the owner alone |
 * | `ark_uploads_running` | gauge | | chunks of files that are on their way to peers |
 * | `ark_downloads_by_peers` | gauge | | downloads of models by peers that have not ended |
 * | `ark_denials_total` | counter | `code` | requests of peers that were turned away |
 * | `ark_api_refused_total` | counter | | requests of apps without a key that counts |
 * | `ark_trace_spans_total` | counter | `outcome` (`sent`, `dropped`) | spans, where the owner has requests traced |
 *
 * Traces are made where the owner names a collector, and nowhere else: {@linkcode Tracer}, {@linkcode OtlpExporter}. A span
 * names the model, the node, numbers of tokens and times. An approved peer is told the place in the trace, and uses it
 * where its own owner traces; each request is a trace of its own.
 *
 * {@linkcode nextBeat} is when all look that look after something now and then, what is told here among it.
 *
 * @example
 * ```ts
 * import { Logger, Metrics } from "@ark/node/telemetry";
 *
 * const lines: string[] = [];
 * const logger = new Logger({ format: "json", write: (line) => lines.push(line) });
 * logger.info("Peer asked", { peer: "yw7qkl2m", model: "llama3.1:8b", ms: 12.5 });
 *
 * const metrics = new Metrics();
 * const requests = metrics.counter("ark_requests_total", "Requests served.", ["outcome"]);
 * requests.add(1, { outcome: "ok" });
 * console.log(metrics.render()); // … ark_requests_total{outcome="ok"} 1
 * ```
 *
 * @module
 */
export { nextBeat, type NextBeatOptions } from "./beat.ts";
export * from "./escaped.ts";
export * from "./events.ts";
export * from "./energy_history.ts";
export * from "./history.ts";
export * from "./logger.ts";
export * from "./metrics.ts";
export * from "./otlp_exporter.ts";
export * from "./traceparent.ts";
export * from "./tracer.ts";
