import type { ArkError } from "@ark/node/protocol";
import { refusal } from "./anthropic/error_answer.ts";
import { arkErrorResponse } from "./ark_error.ts";
import { ollamaErrorAnswer } from "./ollama/ollama_error.ts";
import { errorAnswer } from "./openai/error_answer.ts";

/** A refusal that no family of APIs makes itself, in the shape of the family that the path belongs to. */
export function familyRefusal(failure: ArkError, path: string): Response {
  if (isMessagesPath(path)) return refusal(failure);
  if (path.startsWith("/api/")) return ollamaErrorAnswer(failure);
  return path.startsWith("/v1/") ? errorAnswer(failure) : arkErrorResponse(failure);
}

/** Whether a path is Anthropic's. */
export function isMessagesPath(path: string): boolean {
  return path === "/v1/messages" || path.startsWith("/v1/messages/");
}
