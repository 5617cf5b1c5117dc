import type { InferenceRequest } from "@ark/node/protocol";
import type { LocalModel } from "./local_model.ts";

/**
 * A request to write, with what the model's store says about how it writes: its parameters where the request has none of
 * that name, and its system message where the chat has none. Any other request stays as it is, and so does the one that
 * was given.
 */
export function withDefaults(
  request: InferenceRequest,
  { defaults, system }: Pick<LocalModel, "defaults" | "system">,
): InferenceRequest {
  const { input, parameters } = request;
  if (input.kind !== "chat" && input.kind !== "completion") return request;
  const addsSystem = system !== null && input.kind === "chat" && input.messages.every(({ role }) => role !== "system");
  return {
    ...request,
    input: addsSystem ? { ...input, messages: [{ role: "system", content: system }, ...input.messages] } : input,
    parameters: { ...defaults, ...parameters },
  };
}
