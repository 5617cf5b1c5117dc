import type { ArkError, ErrorCode } from "@ark/node/protocol";
import { RequestBodyError } from "../api/request_json.ts";
import { RequestFault } from "../api/request_fault.ts";
import { retryHeaders } from "../api/retry_headers.ts";

/** How a failure reads in OpenAI's API. */
interface ErrorKind {
  status: number;
  type: string;
  code: string | null;
  param?: string;
}

/** The one table of this boundary. `clock` and `replay` happen between nodes and are no fault of the client's. */
const KINDS: Record<ErrorCode, ErrorKind> = {
  bad_request: { status: 400, type: "invalid_request_error", code: null },
  context_exceeded: { status: 400, type: "invalid_request_error", code: "context_length_exceeded" },
  unauthenticated: { status: 401, type: "authentication_error", code: "unauthenticated" },
  forbidden: { status: 403, type: "permission_error", code: "forbidden" },
  model_not_shared: { status: 403, type: "permission_error", code: "model_not_shared" },
  revoked: { status: 403, type: "permission_error", code: "revoked" },
  model_not_found: { status: 404, type: "invalid_request_error", code: "model_not_found", param: "model" },
  too_large: { status: 413, type: "invalid_request_error", code: "request_too_large" },
  busy: { status: 429, type: "rate_limit_error", code: "rate_limit_exceeded" },
  cancelled: { status: 499, type: "invalid_request_error", code: "cancelled" },
  internal: { status: 500, type: "server_error", code: "internal" },
  engine_failed: { status: 500, type: "server_error", code: "engine_failed" },
  clock: { status: 503, type: "server_error", code: "clock" },
  replay: { status: 503, type: "server_error", code: "replay" },
  unavailable: { status: 503, type: "server_error", code: "unavailable" },
  audit_unavailable: { status: 503, type: "server_error", code: "audit_unavailable" },
};

/** Body of a failure, and the data of a failure's event in a stream. */
export interface ErrorBody {
  /** What OpenAI's clients make an `APIError` of. */
  error: { message: string; type: string; param: string | null; code: string | null };
}

/** A failure in OpenAI's shape. */
export function errorBody(failure: ArkError): ErrorBody {
  const { type, code, param = null } = KINDS[failure.code];
  const { message } = failure;
  if (failure instanceof RequestFault) return { error: { message, type, param: failure.param, code: failure.fault } };
  return { error: { message, type, param, code } };
}

/**
 * A failure as an answer. `ran` says that an engine has already begun: clients then must not repeat the request by
 * themselves, as they do after 429 and 5xx otherwise.
 */
export function errorAnswer(failure: ArkError, { ran = false }: { ran?: boolean } = {}): Response {
  const status = failure instanceof RequestBodyError ? failure.status : KINDS[failure.code].status;
  return Response.json(errorBody(failure), { status, headers: retryHeaders(failure, { ran }) });
}

/** There is nothing at this path. */
export function unknownPath(method: string, path: string): Response {
  const message = `There is no ${method} ${
    path.slice(0, 200)
  } here: see /v1/models, /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/rerank`;
  const error = { message, type: "invalid_request_error", param: null, code: "unknown_url" };
  return Response.json({ error } satisfies ErrorBody, { status: 404 });
}

/** There is something at this path, but not for this method. */
export function wrongMethod(method: string, allow: string): Response {
  const message = `The method ${method} is not allowed here: use ${allow.replace(", ", " or ")}`;
  const error = { message, type: "invalid_request_error", param: null, code: "method_not_allowed" };
  return Response.json({ error } satisfies ErrorBody, { status: 405, headers: { allow } });
}
