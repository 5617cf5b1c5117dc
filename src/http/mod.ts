/**
 * What a node says over HTTP, as fetch handlers that know nothing of sockets.
 *
 * - {@linkcode localApp}: the owner's listener. OpenAI's API with its Responses, Anthropic's and Ollama's for the owner's
 *   programs, and the admin calls, which always need the admin token. Web pages get nothing, but where the owner named their origin, and
 *   then only the APIs. {@linkcode ApiKeyBook} keeps the keys of the owner's programs, which are needed where others can reach
 *   the listener; {@linkcode ResponseShelf} keeps, in memory alone, the answers that a program may go on from.
 * - {@linkcode meshApp}: the peers' listener, behind `transport`, which has proved who asks. It is given this node's own
 *   engine and never a router. {@linkcode blobRoutes} gives the files of models to those who may download them.
 *
 * Bodies are JSON and only JSON; an error is JSON in the shape of the API that was asked. No text of a prompt or an answer
 * gets into a log, a metric or the audit log here.
 *
 * @example
 * ```ts
 * import { isLoopbackName } from "@ark/node/http";
 *
 * console.log(isLoopbackName("localhost"), isLoopbackName("ark.example")); // true false
 * ```
 *
 * @module
 */
export { type AdminOptions } from "./admin/admin_routes.ts";
export type { AuditRoutesOptions } from "./admin/audit_routes.ts";
export * from "./admin/admin_token.ts";
export type { CopiesRoutesOptions, CopiesView } from "./admin/copies_routes.ts";
export type { DoctorRouteOptions, Finding, FindingGroup, FindingLevel } from "./admin/doctor_route.ts";
export type { Circumstances, Explanation, ReasonHere, ReasonThere, Verdict } from "./admin/explain.ts";
export type { DiscoveredPeer, PeerStatus } from "./admin/owner_view.ts";
export type { PeerReputation, ReputationRoutesOptions } from "./admin/reputation_routes.ts";
export type { GridOptions } from "./admin/grid_route.ts";
export type { InviteRoutesOptions } from "./admin/invite_routes.ts";
export type { ModelRoutesOptions, OwnModelView, PullLine } from "./admin/model_routes.ts";
export type { PairRoutesOptions } from "./admin/pair_routes.ts";
export type { IgnoredJson, InvitationJson, PairingJson } from "./admin/pairing_view.ts";
export type { PeerRoutesOptions } from "./admin/peer_routes.ts";
export type { RequestRoutesOptions, RequestsEvent } from "./admin/request_routes.ts";
export type { ModelWhyOptions } from "./admin/model_why_route.ts";
export type { ExcludedBecause, WhyCandidate, WhyExcluded, WhyModel } from "./admin/why_model.ts";
export type { ViewRoutesOptions } from "./admin/view_routes.ts";
export type { WakeControl, WakeResult, WakeRoutesOptions } from "./admin/wake_routes.ts";
export type {
  SharingControl,
  SharingDetails,
  SharingRoutesOptions,
  SharingState,
  SharingView,
} from "./admin/sharing_routes.ts";
export type { SettingsRoutesOptions, SettingView } from "./admin/settings_routes.ts";
export type { RotationRoutesOptions } from "./admin/rotation_routes.ts";
export type { WhyRoutesOptions } from "./admin/why_routes.ts";
export type { AdmitOptions, Admitted } from "./admit_peer.ts";
export { OwnerSessions, type SessionTimes } from "./dashboard/owner_sessions.ts";
export type { OwnerProof } from "./admin/admin_guard.ts";
export type { ApiKey, ApiKeyOrder, ApiKeyTerms } from "./keys/api_key.ts";
export { ApiKeyBook, type ApiKeyBookOptions, type HeldKey } from "./keys/api_key_book.ts";
export type { KeyLease, KeyMeter } from "./keys/key_meter.ts";
export type { KeyRoutesOptions } from "./keys/key_routes.ts";
export * from "./local_app.ts";
export type { ContentAnswerOptions } from "./mesh/content_answer.ts";
export * from "./mesh/content_record.ts";
export type { CopiesAnswerOptions } from "./mesh/copies_answer.ts";
export * from "./mesh/blob_routes.ts";
export * from "./mesh/denials.ts";
export * from "./mesh/introductions.ts";
export * from "./mesh/meeting_routes.ts";
export { type MeshApp, meshApp, type MeshAppOptions, toldAddress } from "./mesh/mesh_app.ts";
export * from "./mesh/pull_sessions.ts";
export * from "./mesh/rotate_route.ts";
export { registryApp, type RegistryOptions, type RegistryPage } from "./registry/registry_app.ts";
export * from "./mesh/upload_pace.ts";
export * from "./mesh/upload_slots.ts";
export { type KeptResponse, ResponseShelf, type ResponseShelfOptions } from "./responses/response_shelf.ts";
export { isLoopbackName } from "./middleware/host_names.ts";
export type { AnsweringNode, Answers, AnswersSender, ApiModel, AskOptions } from "./api/answers.ts";
export type { ModelDescription, ModelKeeper, PullProgress, RunningModel } from "./ollama/model_keeper.ts";
export type { ApiOptions } from "./api/api_routes.ts";
export { requestId } from "./api/serving.ts";
