import { ArkError, type ErrorCode } from "@ark/node/protocol";
import { RequestBodyError } from "../api/request_json.ts";
import { retryHeaders } from "../api/retry_headers.ts";
import { requestId } from "../api/serving.ts";

/** The one table of this boundary. `clock` and `replay` happen between nodes and are no fault of the client's. */
const KINDS: Record<ErrorCode, readonly [status: number, type: string]> = {
  bad_request: [400, "invalid_request_error"],
  context_exceeded: [400, "invalid_request_error"],
  unauthenticated: [401, "authentication_error"],
  forbidden: [403, "permission_error"],
  model_not_shared: [403, "permission_error"],
  revoked: [403, "permission_error"],
  model_not_found: [404, "not_found_error"],
  too_large: [413, "request_too_large"],
  busy: [429, "rate_limit_error"],
  cancelled: [499, "api_error"],
  internal: [500, "api_error"],
  engine_failed: [500, "api_error"],
  clock: [503, "api_error"],
  replay: [503, "api_error"],
  unavailable: [503, "overloaded_error"],
  audit_unavailable: [503, "api_error"],
};

/** Body of a failure, and the data of a failure's event in a stream. */
export interface ErrorBody {
  /** Tells it from a message. */
  type: "error";
  /** What Anthropic's clients make an `APIError` of. */
  error: { type: string; message: string; details?: object };
  /** Id of the request. */
  request_id: string;
}

/** A request that relies on a conversation which the server holds. Clients that hear this send all of it instead. */
export class ThreadError extends ArkError {
  /** What the client's program reads. */
  readonly details: object = { error_code: "thread_unsupported_request", unsupported: ["thread"] };

  /** Makes an error about the field `thread`. */
  constructor() {
    super("bad_request", "Field thread must be absent: this node holds no conversations, so send all messages");
  }
}

/** A failure in Anthropic's shape. */
export function errorBody(failure: ArkError, id: string): ErrorBody {
  const body = bodyOf(KINDS[failure.code][1], { message: failure.message, id });
  if (failure instanceof ThreadError) body.error.details = failure.details;
  return body;
}

/**
 * A failure as an answer. `ran` says that an engine has already begun: clients then must not repeat the request by
 * themselves, as they do after 429 and 5xx otherwise.
 */
export function errorAnswer(failure: ArkError, { ran = false, id }: { ran?: boolean; id: string }): Response {
  const status = failure instanceof RequestBodyError ? failure.status : KINDS[failure.code][0];
  const headers = retryHeaders(failure, { ran });
  headers.set("request-id", id);
  return Response.json(errorBody(failure, id), { status, headers });
}

/** A refusal before the request had an id: it gets one. */
export function refusal(failure: ArkError): Response {
  const id = requestId();
  const response = errorAnswer(failure, { id });
  response.headers.set("x-request-id", id);
  return response;
}

/** There is nothing at this path. */
export function unknownPath(method: string, { path, id }: { path: string; id: string }): Response {
  const message = `There is no ${method} ${path.slice(0, 200)} here: see /v1/messages, /v1/messages/count_tokens`;
  const headers = { "request-id": id };
  return Response.json(bodyOf("not_found_error", { message, id }), { status: 404, headers });
}

/** There is something at this path, but not for this method. */
export function wrongMethod(method: string, allow: string, { id }: { id: string }): Response {
  const message = `The method ${method} is not allowed here: use ${allow.replace(", ", " or ")}`;
  const headers = { allow, "request-id": id };
  return Response.json(bodyOf("invalid_request_error", { message, id }), { status: 405, headers });
}

function bodyOf(type: string, { message, id }: { message: string; id: string }): ErrorBody {
  return { type: "error", error: { type, message }, request_id: id };
}
