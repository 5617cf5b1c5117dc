import type { ErrorCode } from "@ark/node/protocol";

/** Why the transport itself turns a request away. */
export type RefusalCode = Extract<
  ErrorCode,
  "unauthenticated" | "clock" | "replay" | "revoked" | "too_large" | "busy" | "bad_request" | "internal"
>;

const ENCODER = new TextEncoder();

/** Status and body for each reason. Fixed texts: nothing of a request comes back, and equal reasons give equal bytes. */
export const REFUSALS: Readonly<Record<RefusalCode, { status: number; body: Uint8Array<ArrayBuffer> }>> = {
  // One answer for everything short of a valid signature by a known key, so that nothing can be learnt from it.
  unauthenticated: refusal(
    401,
    "unauthorized",
    "This node does not know the caller, or the request is not signed right",
  ),
  clock: refusal(
    401,
    "clock",
    "The clocks differ, or this node started just now: sign again with the nonce of Ark-Nonce",
  ),
  replay: refusal(401, "replay", "This very request was seen before: sign each request anew"),
  revoked: refusal(403, "revoked", "The owner of this node has revoked the approval of the caller"),
  too_large: refusal(413, "too_large", "The body is larger than this node accepts"),
  busy: refusal(429, "busy", "This node remembers as many requests of the caller as it can: wait a minute"),
  bad_request: refusal(400, "bad_request", "A GET request cannot have a body"),
  internal: refusal(500, "internal", "The node met an unexpected fault; its log has the details"),
};

/** Sent for methods and features that no route has, before anything else is looked at. */
export const NOT_ALLOWED = "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, POST\r\nContent-Length: 0\r\n" +
  "Connection: close\r\n\r\n";

function refusal(status: number, code: string, message: string): { status: number; body: Uint8Array<ArrayBuffer> } {
  return { status, body: ENCODER.encode(JSON.stringify({ error: { code: `ark_${code}`, message } })) };
}
