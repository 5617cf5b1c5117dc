import { type Identity, type NodeId, verify } from "@ark/node/identity";
import { baseBytes, signatureBase, strictBase64 } from "./message_signature.ts";

/** What a response says about itself, as far as the signature covers it. */
export interface ResponseHead {
  /** HTTP status. */
  status: number;
  /** `Content-Type`. */
  contentType: string;
  /** Signature of the request that is answered, 64 bytes. */
  request: Uint8Array;
}

const COMPONENTS = '("@status" "content-type" "ark-from" "signature";req;key="ark")';
const SIGNATURE_INPUT = new RegExp(
  `^ark=(${COMPONENTS.replaceAll(/[()]/g, "\\$&")};created=(?:0|[1-9]\\d{0,11});keyid="([a-z2-7]{56})";` +
    `alg="ed25519";tag="ark-peer-resp/1")$`,
);
const SIGNATURE = /^ark=:([A-Za-z0-9+/]{86}==):$/;

/** Signs the head of a response: this node answers this request. Returns the fields to send. */
export function signResponse(
  identity: Identity,
  head: ResponseHead & { created: number },
): { "ark-from": NodeId; "signature-input": string; signature: string } {
  const parameters = `${COMPONENTS};created=${head.created};keyid="${identity.id}";alg="ed25519";tag="ark-peer-resp/1"`;
  const signature = identity.sign(baseBytes(baseOf(head, { from: identity.id, parameters })));
  return {
    "ark-from": identity.id,
    "signature-input": `ark=${parameters}`,
    signature: `ark=:${signature.toBase64()}:`,
  };
}

/** Whether the head of a response was signed by the node that was asked, for the request that was sent. */
export function verifyResponse(
  response: { status: number; headers: Headers },
  expected: { id: NodeId; key: Uint8Array; request: Uint8Array },
): boolean {
  const { status, headers } = response;
  const contentType = headers.get("content-type");
  const [, parameters, keyId] = headers.get("signature-input")?.match(SIGNATURE_INPUT) ?? [];
  const signature = strictBase64(headers.get("signature")?.match(SIGNATURE)?.[1] ?? "");
  if (contentType === null || parameters === undefined || signature?.length !== 64) return false;
  if (keyId !== expected.id || headers.get("ark-from") !== expected.id) return false;
  const base = baseOf({ status, contentType, request: expected.request }, { from: expected.id, parameters });
  return verify(expected.key, baseBytes(base), signature);
}

function baseOf(head: ResponseHead, own: { from: NodeId; parameters: string }): string {
  return signatureBase([
    ['"@status"', String(head.status)],
    ['"content-type"', head.contentType],
    ['"ark-from"', own.from],
    ['"signature";req;key="ark"', `:${head.request.toBase64()}:`],
  ], own.parameters);
}
