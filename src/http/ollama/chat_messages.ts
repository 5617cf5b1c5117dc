import { LIMITS, type Message, type MessageRole, type Tool, type ToolCall } from "@ark/node/protocol";
import { argumentsText, objectOf } from "../api/call_fields.ts";
import { invalid, unsupported } from "../api/request_fault.ts";
import { given, type RequestFields } from "../api/request_fields.ts";

const ROLES: readonly MessageRole[] = ["system", "user", "assistant", "tool"];

/** A call that no answer was seen for yet. */
interface Open {
  id: string;
  name: string;
}

/**
 * Reads the messages of a chat. Ollama's calls need no ids, and the answer of a function says only for which name it is:
 * each call without one gets an id of its place, and each answer belongs to the first call of its name that has none yet.
 *
 * @throws {RequestFault} that names the message and its field.
 */
export function chatMessages(value: unknown): Message[] {
  if (!Array.isArray(value)) throw invalid("messages", "must be a list");
  if (value.length > LIMITS.messages) throw invalid("messages", `must have at most ${LIMITS.messages} entries`);
  const open: Open[] = [];
  return value.map((message, index) => chatMessage(message, { at: `messages[${index}]`, index, open }));
}

function chatMessage(value: unknown, { at, index, open }: { at: string; index: number; open: Open[] }): Message {
  const fields = objectOf(value, at);
  const role = ROLES.find((one) => one === given(fields, "role"));
  if (role === undefined) throw invalid(`${at}.role`, "must be system, user, assistant or tool");
  noImages(fields, `${at}.images`);
  const message: Message = { role, content: textOf(fields, "content", at) };
  if (role === "assistant") {
    const thinking = textOf(fields, "thinking", at);
    if (thinking !== "") message.reasoning = thinking;
    const calls = callsOf(given(fields, "tool_calls"), { at: `${at}.tool_calls`, index });
    if (calls.length > 0) message.tool_calls = calls;
    open.push(...calls);
  }
  if (role === "tool") Object.assign(message, answered(fields, { at, open }));
  return message;
}

/**
 * Refuses pictures, which no engine of this node reads.
 *
 * @throws {RequestFault} `unsupported_value`
 */
export function noImages(fields: RequestFields, shown = "images"): void {
  const images = given(fields, "images") ?? [];
  if (!Array.isArray(images)) throw invalid(shown, "must be a list");
  if (images.length > 0) throw unsupported(shown, "must be absent or empty: this node reads text alone");
}

/**
 * Reads the functions that the model may call; undefined where there are none.
 *
 * @throws {RequestFault} that names the function and its field.
 */
export function chatTools(value: unknown): Tool[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw invalid("tools", "must be a list");
  if (value.length > LIMITS.tools) throw invalid("tools", `must have at most ${LIMITS.tools} entries`);
  const tools = value.map((each, index) => {
    const at = `tools[${index}].function`;
    const fields = objectOf(given(objectOf(each, `tools[${index}]`), "function"), at);
    const tool: Tool = { name: textOf(fields, "name", at) };
    const description = textOf(fields, "description", at);
    if (description !== "") tool.description = description;
    const parameters = given(fields, "parameters");
    if (parameters !== undefined) tool.parameters = objectOf(parameters, `${at}.parameters`);
    return tool;
  });
  return tools.length === 0 ? undefined : tools;
}

function callsOf(value: unknown, { at, index }: { at: string; index: number }): ToolCall[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalid(at, "must be a list");
  return value.map((each, n) => {
    const call = objectOf(each, `${at}[${n}]`);
    const fields = objectOf(given(call, "function"), `${at}[${n}].function`);
    const asked = given(fields, "arguments") ?? {};
    // Ollama's own clients send an object; those that were made for OpenAI's API send its text.
    const written = typeof asked === "string" ? asked : argumentsText(asked, `${at}[${n}].function.arguments`);
    return {
      id: textOf(call, "id", `${at}[${n}]`) || `call_${index}_${n}`,
      name: textOf(fields, "name", `${at}[${n}].function`),
      arguments: written,
    };
  });
}

function answered(fields: RequestFields, { at, open }: { at: string; open: Open[] }): Partial<Message> {
  const name = textOf(fields, "tool_name", at) || textOf(fields, "name", at);
  const asked = textOf(fields, "tool_call_id", at);
  const found = open.findIndex((call) => asked === "" ? name === "" || call.name === name : call.id === asked);
  const [call] = found < 0 ? [] : open.splice(found, 1);
  const id = asked || call?.id;
  const shown = name || call?.name;
  return { ...id === undefined ? {} : { tool_call_id: id }, ...shown === undefined ? {} : { name: shown } };
}

/** A text that may be absent. */
function textOf(fields: RequestFields, name: string, at: string): string {
  const value = given(fields, name) ?? "";
  if (typeof value !== "string") throw invalid(`${at}.${name}`, "must be a text");
  return value;
}
