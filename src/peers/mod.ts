/**
 * Who the neighbours are and what each of them may do here.
 *
 * - {@linkcode PeerBook}: the peers that the owner approved. The file `approved_peers.json` is the truth: it is written
 *   whole (temporary file, fsync, rename), watched for edits by hand, and while it is malformed the last good set stays
 *   in force. A missing file approves nobody. A revocation counts from the moment of the call, and is remembered in the
 *   database too: neither a file that cannot be written nor a backup of it undoes it.
 * - {@linkcode Gate}: decides whether one request of a peer may run now, and lends it a slot that comes back however the
 *   request ends.
 * - {@linkcode Usage}: what each peer has used up of its limits over time, by its key and a monotonic clock. Tokens are
 *   promised when a request is admitted, charged as they are read and written, and kept over a restart.
 * - {@linkcode Neighbourhood}: nodes that were seen. A sighting is a hint to dial; only a node that proved its key is
 *   shown, and being shown gives it nothing.
 * - {@linkcode Rotations}: peers that go on under another key, as a statement of both keys proves. The owner lets each of
 *   them, or all of them at once; a change without such a statement is a stranger.
 * - {@linkcode LastAddresses}: where approved peers answered before, which no sighting can take away.
 * - {@linkcode Pairings}: two owners compare four words on both screens, and then each decides what the other node may do.
 *   Nobody in between can get the same words, but with a chance of 1 in 2^44.
 * - {@linkcode Invitations}: for people who are far away, a link that one node can use once.
 * - {@linkcode IgnoredNodes}: of whom the owner wants to hear nothing, with undo.
 *
 * Approval is one-way: it says what *that* node may do *here*, and that prompts may be sent to it. Nothing is transitive.
 *
 * @example
 * ```ts
 * import { describePermissions } from "@ark/node/peers";
 *
 * console.log(describePermissions("Dave's Ark", {
 *   can_request_inference: true,
 *   can_pull_models: false,
 *   models_shared: ["llama3.1:8b"],
 *   max_concurrent_requests: 1,
 * }, null)); // "Dave's Ark may ask llama3.1:8b, one question at a time. It cannot download models."
 * ```
 *
 * @module
 */
export * from "./account.ts";
export * from "./accept_invitation.ts";
export * from "./approved_peer.ts";
export * from "./content_gate.ts";
export * from "./describe_pairing.ts";
export * from "./describe_permissions.ts";
export * from "./gate.ts";
export * from "./ignored_nodes.ts";
export * from "./invitations.ts";
export * from "./look_alike.ts";
export * from "./last_addresses.ts";
export * from "./neighbourhood.ts";
export { olderApprovals, type OlderVersion, writeOlderApprovals } from "./older_approvals.ts";
export type { PairingAct, PairingEnd, PairingPhase } from "./pairing.ts";
export { isOpen } from "./pairing.ts";
export { PAIRING_TIMES, type PairingTimes, type PairingView } from "./pairing_card.ts";
export * from "./pairings.ts";
export * from "./peer_book.ts";
export * from "./rotations.ts";
export type { TokenSlot } from "./token_window.ts";
export * from "./usage.ts";
export * from "./presets.ts";
export * from "./wireguard_key.ts";
export { type PairingWords, sameWords } from "./words.ts";
