import { ArkError, decodeInferenceRequest, type InferenceRequest } from "@ark/node/protocol";
import { invalid } from "./request_fault.ts";

/**
 * Checks a request by the rules of the mesh, so that what an engine or a peer would refuse is refused here, under the name
 * that the client's own API has for the field.
 *
 * @param shown Gives the client's name for a field of the request, such as `tools[0].function.name` for `tools[0].name`.
 * @throws {RequestFault} `invalid_value`; an `ArkError` `bad_request` where it is not about one field.
 */
export function checkedRequest(request: unknown, shown: (field: string) => string): InferenceRequest {
  try {
    return decodeInferenceRequest(request);
  } catch (error) {
    if (!(error instanceof ArkError)) throw error;
    const [, field, rule] = /^Field (\S+) (.*)$/s.exec(error.message) ?? [];
    if (field === undefined || rule === undefined) throw error;
    throw invalid(shown(field), rule);
  }
}
