import type { ArkError, ErrorCode } from "@ark/node/protocol";
import { RequestBodyError } from "./api/request_json.ts";

/** Status of each failure of a request between nodes or of an admin call. */
const STATUS: Record<ErrorCode, number> = {
  bad_request: 400,
  context_exceeded: 400,
  unauthenticated: 401,
  clock: 401,
  replay: 401,
  forbidden: 403,
  model_not_shared: 403,
  revoked: 403,
  model_not_found: 404,
  too_large: 413,
  busy: 429,
  cancelled: 499,
  internal: 500,
  engine_failed: 502,
  unavailable: 503,
  audit_unavailable: 503,
};

/** A failure between nodes, or of an admin call, as an answer: `{"error":{"code":"ark_…","message"}}`. */
export function arkErrorResponse(error: ArkError): Response {
  const { code, message, retryAfterSeconds } = error;
  const status = error instanceof RequestBodyError ? error.status : STATUS[code];
  const headers: Record<string, string> = retryAfterSeconds === undefined
    ? {}
    : { "retry-after": String(Math.ceil(retryAfterSeconds)) };
  return Response.json({ error: { code: `ark_${code}`, message } }, { status, headers });
}
