import { unsupported } from "../api/request_fault.ts";
import { given, type RequestFields } from "../api/request_fields.ts";

/** What would change the answer and cannot be done here, and what is said then. */
const REFUSED: Readonly<Record<string, string>> = {
  background: "must be absent or false: this node answers while you wait",
  conversation: "must be absent: this node keeps answers and no conversations, so use previous_response_id",
  prompt: "must be absent: this node keeps no prompts of yours, so send input and instructions",
  context_management: "must be absent or empty: this node does not shorten a conversation by itself",
  moderation: "must be absent: this node judges no texts",
};

/**
 * Refuses what would change the answer and cannot be done.
 *
 * @throws {RequestFault} `unsupported_value`
 */
export function refuseUnsupported(fields: RequestFields): void {
  for (const [name, rule] of Object.entries(REFUSED)) {
    const value = given(fields, name);
    if (value === undefined || value === false || (Array.isArray(value) && value.length === 0)) continue;
    throw unsupported(name, rule);
  }
}
