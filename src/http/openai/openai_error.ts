import type { ArkError, ErrorCode } from "@ark/node/protocol";

/** A request that names a field which is wrong or not supported. */
export class FieldError extends Error {
  /** Always `"FieldError"`. */
  override readonly name = "FieldError";
  /** Name of the field. */
  readonly param: string;

  /** Makes an error with a sentence for a person. */
  constructor(param: string, message: string) {
    super(message);
    this.param = param;
  }
}

interface Shape {
  status: number;
  type: string;
  code: string | null;
}

/** Status, type and code of each failure, as OpenAI's clients know them. */
const SHAPES: Record<ErrorCode, Shape> = {
  bad_request: { status: 400, type: "invalid_request_error", code: null },
  context_exceeded: { status: 400, type: "invalid_request_error", code: "context_length_exceeded" },
  unauthenticated: { status: 401, type: "authentication_error", code: "unauthenticated" },
  clock: { status: 503, type: "server_error", code: "clock" },
  replay: { status: 503, type: "server_error", code: "replay" },
  forbidden: { status: 403, type: "permission_error", code: "forbidden" },
  model_not_shared: { status: 403, type: "permission_error", code: "model_not_shared" },
  revoked: { status: 403, type: "permission_error", code: "revoked" },
  model_not_found: { status: 404, type: "invalid_request_error", code: "model_not_found" },
  too_large: { status: 413, type: "invalid_request_error", code: "request_too_large" },
  busy: { status: 429, type: "rate_limit_error", code: "rate_limit_exceeded" },
  cancelled: { status: 499, type: "server_error", code: "cancelled" },
  internal: { status: 500, type: "server_error", code: "internal" },
  engine_failed: { status: 500, type: "server_error", code: "engine_failed" },
  unavailable: { status: 503, type: "server_error", code: "unavailable" },
  audit_unavailable: { status: 503, type: "server_error", code: "audit_unavailable" },
};

/** Status of a failure in OpenAI's API. */
export function openaiStatus(error: ArkError | FieldError): number {
  return "param" in error ? 400 : SHAPES[error.code].status;
}

/** A failure as OpenAI's clients read it: `{"error":{message,type,param,code}}`. */
export function openaiErrorBody(error: ArkError | FieldError): Record<string, unknown> {
  const { message } = error;
  if ("param" in error) {
    return { error: { message, type: "invalid_request_error", param: error.param, code: "unsupported_value" } };
  }
  const { type, code } = SHAPES[error.code];
  return { error: { message, type, param: null, code } };
}

/** A failure as a whole answer; `ran` says that trying again would do the work twice. */
export function openaiError(error: ArkError | FieldError, { ran = false }: { ran?: boolean } = {}): Response {
  const headers: Record<string, string> = {};
  if (!("param" in error) && error.retryAfterSeconds !== undefined) {
    headers["retry-after"] = String(Math.ceil(error.retryAfterSeconds));
  }
  if (ran) headers["x-should-retry"] = "false";
  return Response.json(openaiErrorBody(error), { status: openaiStatus(error), headers });
}
