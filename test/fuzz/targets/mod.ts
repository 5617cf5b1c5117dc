/** All targets. */
import type { FuzzTarget } from "../target.ts";
import { approval } from "./approval.ts";
import { auditLine } from "./audit_line.ts";
import { auditVerifier } from "./audit_verifier.ts";
import { chunkList, have, partState, signedManifest } from "./blobs.ts";
import { checkpoint, witnessing } from "./checkpoint.ts";
import { ggufHeader } from "./gguf_header.ts";
import { httpResponse } from "./http_response.ts";
import { nodeId, publicKey } from "./identities.ts";
import { inferenceRequest } from "./inference_request.ts";
import { knock } from "./knock.ts";
import { mdnsPacket } from "./mdns_packet.ts";
import { meshStream } from "./mesh_stream.ts";
import { offer } from "./offer.ts";
import { offerStream } from "./offer_stream.ts";
import { invitationProof, invite, pairingMessage } from "./pairing.ts";
import { receipt } from "./receipt.ts";
import { requestJson } from "./request_json.ts";
import { responseHead } from "./response_head.ts";
import { rotation } from "./rotation.ts";
import { signature } from "./signature.ts";
import { structuredFields } from "./structured_fields.ts";
import { wireGuardDump } from "./wireguard.ts";
import { zim } from "./zim.ts";

/** A target of any kind of input. */
// deno-lint-ignore no-explicit-any
export type AnyTarget = FuzzTarget<any>;

/** In the order in which they run. */
export const TARGETS: readonly AnyTarget[] = [
  signature,
  structuredFields,
  responseHead,
  httpResponse,
  mdnsPacket,
  ggufHeader,
  approval,
  nodeId,
  publicKey,
  knock,
  offer,
  offerStream,
  inferenceRequest,
  meshStream,
  receipt,
  requestJson,
  auditLine,
  auditVerifier,
  checkpoint,
  witnessing,
  pairingMessage,
  invite,
  invitationProof,
  rotation,
  wireGuardDump,
  zim,
  signedManifest,
  chunkList,
  have,
  partState,
];
