import { ArkError, type ErrorCode } from "@ark/node/protocol";
import { RequestBodyError } from "../api/request_json.ts";
import { retryHeaders } from "../api/retry_headers.ts";

/** Status of each failure, as Ollama answers it: a full queue is 503 there, and so is everything that may pass. */
const STATUS: Record<ErrorCode, number> = {
  bad_request: 400,
  context_exceeded: 400,
  unauthenticated: 401,
  forbidden: 403,
  model_not_shared: 403,
  revoked: 403,
  model_not_found: 404,
  too_large: 413,
  cancelled: 499,
  internal: 500,
  engine_failed: 500,
  busy: 503,
  clock: 503,
  replay: 503,
  unavailable: 503,
  audit_unavailable: 503,
};

/** What Ollama does and this node does not: the request is understood, and nothing in it is wrong. */
export class NotOffered extends ArkError {
  /** 501, where the path is there and the act is not. */
  readonly status = 501;

  /** Makes a refusal; the sentence says what to do instead. */
  constructor(message: string) {
    super("bad_request", message);
  }
}

/** Body of a failure, and the line of a failure in a stream. Ollama's clients show the text and look at nothing else. */
export interface OllamaErrorBody {
  /** One sentence. */
  error: string;
}

/** A failure in Ollama's shape. */
export function ollamaErrorBody({ code, message }: ArkError): OllamaErrorBody {
  // Clients tell a missing model by these two words, beside the status.
  if (code === "model_not_found" && !/\bnot found\b/i.test(message)) return { error: `model not found: ${message}` };
  return { error: message };
}

/** A failure as an answer in Ollama's shape: `{"error":"text"}`. `ran` says that an engine had already begun. */
export function ollamaErrorAnswer(failure: ArkError, { ran = false }: { ran?: boolean } = {}): Response {
  const own = failure instanceof RequestBodyError || failure instanceof NotOffered ? failure.status : null;
  const headers = retryHeaders(failure, { ran });
  return Response.json(ollamaErrorBody(failure), { status: own ?? STATUS[failure.code], headers });
}

/** There is something at this path, but not for this method. */
export function ollamaWrongMethod(method: string, allow: string): Response {
  const error = `The method ${method} is not allowed here: use ${allow.replace(", ", " or ")}`;
  return Response.json({ error } satisfies OllamaErrorBody, { status: 405, headers: { allow } });
}

/** There is nothing at this path. */
export function ollamaUnknownPath(method: string, path: string): Response {
  const error = `There is no ${method} ${path.slice(0, 200)} here: see /api/chat, /api/generate, /api/embed, /api/tags`;
  return Response.json({ error } satisfies OllamaErrorBody, { status: 404 });
}
