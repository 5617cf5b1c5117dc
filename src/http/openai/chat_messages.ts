import { LIMITS, type Message, type MessageRole, type ToolCall } from "@ark/node/protocol";
import { callId, functionName, objectOf, textOf } from "../api/call_fields.ts";
import { invalid, unsupported } from "../api/request_fault.ts";
import { given, type RequestFields } from "../api/request_fields.ts";

const ROLES: ReadonlyMap<unknown, MessageRole> = new Map<unknown, MessageRole>([
  ["developer", "system"],
  ["system", "system"],
  ["user", "user"],
  ["assistant", "assistant"],
  ["tool", "tool"],
  ["function", "tool"],
]);

/**
 * Reads the messages of a chat: who and what, the functions that were called and what came of them, and nothing else. Several
 * texts of one message become lines of one text, as llama.cpp's own server joins them.
 *
 * @throws {RequestFault} that names the message and its field.
 */
export function chatMessages(value: unknown): Message[] {
  if (!Array.isArray(value) || value.length === 0) throw invalid("messages", "must be a non-empty list");
  if (value.length > LIMITS.messages) throw invalid("messages", `must have at most ${LIMITS.messages} entries`);
  const calls: ToolCall[] = [];
  return value.map((each, index) => {
    const message = chatMessage(each, { at: `messages[${index}]`, calls });
    calls.push(...message.tool_calls ?? []);
    return message;
  });
}

interface Place {
  /** The message. */
  at: string;
  /** What was called in the messages before. */
  calls: readonly ToolCall[];
}

function chatMessage(value: unknown, { at, calls }: Place): Message {
  const message = objectOf(value, at);
  const called = given(message, "role");
  const role = ROLES.get(called);
  if (role === undefined) throw invalid(`${at}.role`, "must be system, developer, user, assistant or tool");
  if (given(message, "audio") !== undefined) {
    throw unsupported(`${at}.audio`, "must be absent: this node reads text alone");
  }
  if (role === "assistant") return assistantMessage(message, { at, calls });
  for (const name of ["tool_calls", "function_call"]) {
    if (!isNothing(given(message, name))) {
      throw invalid(`${at}.${name}`, "must be absent: only an assistant calls functions");
    }
  }
  const content = contentOf(given(message, "content"), `${at}.content`);
  if (role !== "tool") return { role, content };
  return called === "tool"
    ? toolMessage(message, { at, calls, content })
    : functionMessage(message, { at, calls, content });
}

function assistantMessage(message: RequestFields, { at, calls }: Place): Message {
  const content = given(message, "content");
  // OpenAI's clients send an answer without text back as null.
  const read: Message = {
    role: "assistant",
    content: content === undefined ? "" : contentOf(content, `${at}.content`),
  };
  const reasoning = given(message, "reasoning_content") ?? given(message, "reasoning");
  if (typeof reasoning === "string" && reasoning !== "") read.reasoning = reasoning;
  const made = toolCalls(given(message, "tool_calls"), `${at}.tool_calls`);
  const old = given(message, "function_call");
  if (old !== undefined) {
    made.push(functionCall(objectOf(old, `${at}.function_call`), { at: `${at}.function_call`, id: oldId(calls) }));
  }
  if (made.length > 0) read.tool_calls = made;
  return read;
}

function toolCalls(value: unknown, at: string): ToolCall[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalid(at, "must be a list");
  if (value.length > LIMITS.toolCalls) throw invalid(at, `must have at most ${LIMITS.toolCalls} entries`);
  return value.map((each, index) => {
    const here = `${at}[${index}]`;
    const call = objectOf(each, here);
    if ((given(call, "type") ?? "function") !== "function") {
      throw unsupported(`${here}.type`, "must be function: this node has no other tools");
    }
    const id = callId(given(call, "id"), `${here}.id`);
    return functionCall(objectOf(given(call, "function"), `${here}.function`), { at: `${here}.function`, id });
  });
}

function functionCall(call: RequestFields, { at, id }: { at: string; id: string }): ToolCall {
  const name = functionName(given(call, "name"), `${at}.name`);
  return { id, name, arguments: textOf(given(call, "arguments"), `${at}.arguments`) };
}

function toolMessage(message: RequestFields, { at, calls, content }: Place & { content: string }): Message {
  const id = callId(given(message, "tool_call_id"), `${at}.tool_call_id`);
  // Some templates write the function's name beside its result, which OpenAI's clients leave out.
  const name = calls.findLast((call) => call.id === id)?.name;
  return { role: "tool", content, tool_call_id: id, ...name === undefined ? {} : { name } };
}

function functionMessage(message: RequestFields, { at, calls, content }: Place & { content: string }): Message {
  const name = functionName(given(message, "name"), `${at}.name`);
  const id = calls.findLast((call) => call.name === name)?.id;
  return { role: "tool", content, name, ...id === undefined ? {} : { tool_call_id: id } };
}

/** Calls had no ids before there were tools. */
function oldId(calls: readonly ToolCall[]): string {
  return `call_${calls.length}`;
}

function isNothing(value: unknown): boolean {
  return value === undefined || (Array.isArray(value) && value.length === 0);
}

function contentOf(content: unknown, at: string): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) throw invalid(at, "must be a text, or a list of parts of type text");
  return content.map((part, index) => textOfPart(part, `${at}[${index}]`)).join("\n");
}

function textOfPart(value: unknown, at: string): string {
  const part = objectOf(value, at);
  const type = given(part, "type");
  if (type === "text" || type === "refusal") return textOf(given(part, type), `${at}.${type}`);
  if (typeof type !== "string") throw invalid(`${at}.type`, "must be text");
  throw unsupported(`${at}.type`, "must be text: this node cannot read images, sound or files yet");
}
