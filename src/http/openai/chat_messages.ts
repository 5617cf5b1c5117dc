import { LIMITS, type Message, type MessageRole } from "@ark/node/protocol";
import { invalid, unsupported } from "../api/request_fault.ts";
import { given, type RequestFields } from "../api/request_fields.ts";

const ROLES: ReadonlyMap<unknown, MessageRole> = new Map<unknown, MessageRole>([
  ["developer", "system"],
  ["system", "system"],
  ["user", "user"],
  ["assistant", "assistant"],
]);

/**
 * Reads the messages of a chat: who and what, nothing else. Several texts of one message become lines of one text, as
 * llama.cpp's own server joins them.
 *
 * @throws {RequestFault} that names the message and its field.
 */
export function chatMessages(value: unknown): Message[] {
  if (!Array.isArray(value) || value.length === 0) throw invalid("messages", "must be a non-empty list");
  if (value.length > LIMITS.messages) throw invalid("messages", `must have at most ${LIMITS.messages} entries`);
  return value.map((message, index) => chatMessage(message, `messages[${index}]`));
}

function chatMessage(value: unknown, at: string): Message {
  if (!isObject(value)) throw invalid(at, "must be an object");
  const role = roleOf(given(value, "role"), `${at}.role`);
  for (const name of ["tool_calls", "function_call", "audio"]) {
    const extra = given(value, name);
    if (extra === undefined || (Array.isArray(extra) && extra.length === 0)) continue;
    throw unsupported(`${at}.${name}`, "must be absent or empty: this node reads text alone");
  }
  const content = given(value, "content");
  // OpenAI's clients send an answer without text back as null.
  if (content === undefined && role === "assistant") return { role, content: "" };
  return { role, content: textOf(content, `${at}.content`) };
}

function roleOf(value: unknown, at: string): MessageRole {
  const role = ROLES.get(value);
  if (role !== undefined) return role;
  if (value === "tool" || value === "function") {
    throw unsupported(at, "must be system, developer, user or assistant: this node cannot call tools yet");
  }
  throw invalid(at, "must be system, developer, user or assistant");
}

function textOf(content: unknown, at: string): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) throw invalid(at, "must be a text, or a list of parts of type text");
  return content.map((part, index) => textOfPart(part, `${at}[${index}]`)).join("\n");
}

function textOfPart(part: unknown, at: string): string {
  if (!isObject(part)) throw invalid(at, "must be an object");
  const type = given(part, "type");
  if (type === "text") {
    const text = given(part, "text");
    if (typeof text !== "string") throw invalid(`${at}.text`, "must be a text");
    return text;
  }
  if (typeof type !== "string") throw invalid(`${at}.type`, "must be text");
  throw unsupported(`${at}.type`, "must be text: this node cannot read images, sound or files yet");
}

function isObject(value: unknown): value is RequestFields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
