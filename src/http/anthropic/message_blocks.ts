import { LIMITS, type Message } from "@ark/node/protocol";
import { argumentsText, callId, functionName, objectOf, textOf } from "../api/call_fields.ts";
import { invalid, unsupported } from "../api/request_fault.ts";
import { given, givenFlag, type RequestFields } from "../api/request_fields.ts";

const NO_IMAGES = "must be text: this node cannot read images, documents or files yet";

/**
 * Reads `system`: a text, or blocks of text.
 *
 * @throws {RequestFault} `invalid_value` or `unsupported_value`, with the field's name.
 */
export function systemMessages(value: unknown): Message[] {
  if (value === undefined) return [];
  const content = textContent(value, "system");
  return content === "" ? [] : [{ role: "system", content }];
}

/**
 * Reads `messages`. Messages of one speaker that follow each other are one turn, as Anthropic has it; the results of tools
 * are messages of their own and must follow the call. `before` is what the system says.
 *
 * @throws {RequestFault} that names the message and its block.
 */
export function chatMessages(value: unknown, before: readonly Message[]): Message[] {
  if (!Array.isArray(value) || value.length === 0) throw invalid("messages", "must be a non-empty list");
  if (value.length > LIMITS.messages) throw invalid("messages", `must have at most ${LIMITS.messages} entries`);
  const reader = new MessageReader();
  value.forEach((message, index) => reader.take(objectOf(message, `messages[${index}]`), `messages[${index}]`));
  const messages = [...before, ...reader.messages];
  if (messages.length > LIMITS.messages) {
    throw invalid(
      "messages",
      `must have at most ${LIMITS.messages} entries, where each result of a tool counts as one`,
    );
  }
  return messages;
}

class MessageReader {
  readonly messages: Message[] = [];
  readonly #called = new Map<string, string>();

  take(message: RequestFields, at: string): void {
    const role = given(message, "role");
    const content = given(message, "content");
    switch (role) {
      case "system":
        this.messages.push({ role, content: textContent(content, `${at}.content`) });
        return;
      case "user":
        return this.#user(content, `${at}.content`);
      case "assistant":
        return this.#assistant(content, `${at}.content`);
    }
    throw invalid(`${at}.role`, "must be user or assistant");
  }

  #user(content: unknown, at: string): void {
    for (const { block, type, where } of blocksOf(content, at)) {
      if (type === "text") this.#say("user", textOf(given(block, "text"), `${where}.text`));
      else if (type === "tool_result") this.#result(block, where);
      else throw unknownBlock(type, { where, known: "text or tool_result" });
    }
  }

  #assistant(content: unknown, at: string): void {
    // What was said after the results of tools, or after a question, is a turn of its own.
    const last = this.messages.at(-1);
    const turn: Message = last?.role === "assistant" ? last : { role: "assistant", content: "" };
    if (turn !== last) this.messages.push(turn);
    for (const { block, type, where } of blocksOf(content, at)) {
      switch (type) {
        case "text":
          turn.content = joined(turn.content, textOf(given(block, "text"), `${where}.text`));
          break;
        case "thinking":
          turn.reasoning = joined(turn.reasoning ?? "", textOf(given(block, "thinking"), `${where}.thinking`));
          break;
        case "redacted_thinking":
          // Encrypted by another vendor: nobody here can read it.
          break;
        case "tool_use":
          this.#call(turn, { block, where });
          break;
        default:
          throw unknownBlock(type, { where, known: "text, thinking or tool_use" });
      }
    }
  }

  #call(turn: Message, { block, where }: { block: RequestFields; where: string }): void {
    const id = callId(given(block, "id"), `${where}.id`);
    const name = functionName(given(block, "name"), `${where}.name`);
    const calls = turn.tool_calls ??= [];
    if (calls.length >= LIMITS.toolCalls) throw invalid(where, `must be one of at most ${LIMITS.toolCalls} calls`);
    calls.push({ id, name, arguments: argumentsText(given(block, "input"), `${where}.input`) });
    this.#called.set(id, name);
  }

  #result(block: RequestFields, where: string): void {
    const id = callId(given(block, "tool_use_id"), `${where}.tool_use_id`);
    const name = this.#called.get(id);
    if (name === undefined) throw invalid(`${where}.tool_use_id`, "must be that of a tool_use before it");
    const text = textContent(given(block, "content") ?? "", `${where}.content`);
    // No template knows a result that is an error, so that it is said in words.
    const content = givenFlag(block, "is_error", `${where}.is_error`) ? `Error: ${text}` : text;
    this.messages.push({ role: "tool", content, tool_call_id: id, name });
  }

  #say(role: "user", text: string): void {
    const last = this.messages.at(-1);
    if (last?.role === role) last.content = joined(last.content, text);
    else this.messages.push({ role, content: text });
  }
}

interface Block {
  block: RequestFields;
  type: unknown;
  where: string;
}

/** The blocks of a content; a text is one block. */
function blocksOf(content: unknown, at: string): Block[] {
  if (typeof content === "string") return [{ block: { text: content }, type: "text", where: at }];
  if (!Array.isArray(content) || content.length === 0) {
    throw invalid(at, "must be a text or a non-empty list of blocks");
  }
  return content.map((value, index) => {
    const where = `${at}[${index}]`;
    const block = objectOf(value, where);
    return { block, type: given(block, "type"), where };
  });
}

/** A content that can be nothing but text. */
function textContent(content: unknown, at: string): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) throw invalid(at, "must be a text or a list of blocks of type text");
  return content.map((value, index) => {
    const where = `${at}[${index}]`;
    const block = objectOf(value, where);
    const type = given(block, "type");
    if (type !== "text") throw unknownBlock(type, { where, known: "text" });
    return textOf(given(block, "text"), `${where}.text`);
  }).join("\n");
}

function unknownBlock(type: unknown, { where, known }: { where: string; known: string }): Error {
  if (typeof type !== "string") return invalid(`${where}.type`, `must be ${known}`);
  if (["image", "document", "container_upload"].includes(type)) return unsupported(`${where}.type`, NO_IMAGES);
  return unsupported(`${where}.type`, `must be ${known}`);
}

function joined(before: string, text: string): string {
  return before === "" ? text : `${before}\n${text}`;
}
