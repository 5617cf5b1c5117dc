import { LIMITS, type Message } from "@ark/node/protocol";
import { callId, functionName, isObject, objectOf, textOf } from "../api/call_fields.ts";
import { invalid, unsupported } from "../api/request_fault.ts";
import { given, type RequestFields } from "../api/request_fields.ts";

/** An item of a request's input, as `GET /v1/responses/{id}/input_items` shows it, but for its id. */
export type InputItem = { readonly type: string; readonly [key: string]: unknown };

/** What a request's input says. */
export interface ReadInput {
  /** As it is shown again. */
  items: InputItem[];
  /** As the model reads it. */
  messages: Message[];
}

const ROLES: ReadonlyMap<unknown, Message["role"]> = new Map<unknown, Message["role"]>([
  ["developer", "system"],
  ["system", "system"],
  ["user", "user"],
  ["assistant", "assistant"],
]);

/** Parts of a message that are text, and where it stands in them. */
const TEXT_PARTS: ReadonlyMap<unknown, string> = new Map([
  ["input_text", "text"],
  ["output_text", "text"],
  ["text", "text"],
  ["refusal", "refusal"],
]);

/** What an input may rely on. */
export interface InputContext {
  /** The conversation before it. */
  before: readonly Message[];
  /** Finds an item that is kept, by its id. */
  item(id: string): RequestFields | undefined;
}

const NOTHING: InputContext = { before: [], item: () => undefined };

/**
 * Reads `input`: a text, or items. What the assistant thought, said and called in items that follow each other is one
 * message; the output of a call must follow the call, which may have been before.
 *
 * @throws {RequestFault} that names the item and its field.
 */
export function readInput(value: unknown, context: InputContext = NOTHING): ReadInput {
  if (typeof value === "string") {
    return {
      items: [messageItem("user", [{ type: "input_text", text: value }])],
      messages: [{ role: "user", content: value }],
    };
  }
  if (!Array.isArray(value) || value.length === 0) {
    throw invalid("input", "must be a text or a non-empty list of items");
  }
  const reader = new InputReader(context);
  value.forEach((item, index) => reader.take(item, `input[${index}]`));
  if (context.before.length + reader.messages.length > LIMITS.messages) {
    throw invalid("input", `must lead to at most ${LIMITS.messages} messages, those before it included`);
  }
  if (reader.messages.length === 0) throw invalid("input", "must have an item that the model can read");
  return { items: reader.items, messages: reader.messages };
}

class InputReader {
  readonly items: InputItem[] = [];
  readonly messages: Message[] = [];
  readonly #called = new Map<string, string>();
  readonly #item: InputContext["item"];
  /** The assistant's message that the next item may belong to. */
  #turn: Message | null = null;

  constructor({ before, item }: InputContext) {
    this.#item = item;
    for (const { tool_calls = [] } of before) {
      for (const { id, name } of tool_calls) this.#called.set(id, name);
    }
  }

  take(value: unknown, at: string): void {
    const item = objectOf(value, at);
    const named = given(item, "role") === undefined && given(item, "id") !== undefined;
    const type = given(item, "type") ?? (named ? "item_reference" : "message");
    switch (type) {
      case "message":
        return this.#message(item, at);
      case "function_call":
        return this.#call(item, at);
      case "function_call_output":
        return this.#output(item, at);
      case "reasoning":
        return this.#reasoning(item, at);
      case "item_reference":
        return this.take(this.#kept(given(item, "id"), `${at}.id`), at);
    }
    if (typeof type !== "string") throw invalid(`${at}.type`, "must be a text");
    throw unsupported(`${at}.type`, "must be message, function_call, function_call_output or reasoning");
  }

  #kept(id: unknown, at: string): RequestFields {
    const item = this.#item(textOf(id, at));
    if (item !== undefined) return item;
    throw invalid(at, "must be that of an item that is kept here: send the item itself");
  }

  #message(item: RequestFields, at: string): void {
    const role = ROLES.get(given(item, "role"));
    if (role === undefined) throw invalid(`${at}.role`, "must be user, assistant, system or developer");
    const texts = textsOf(given(item, "content"), `${at}.content`);
    const text = texts.join("\n");
    const type = role === "assistant" ? "output_text" : "input_text";
    const more = role === "assistant" ? { annotations: [] } : {};
    this.items.push(messageItem(String(given(item, "role")), texts.map((text) => ({ type, text, ...more }))));
    if (role !== "assistant") {
      this.#turn = null;
      this.messages.push({ role, content: text });
      return;
    }
    // What was said after a call, or after something was said, is one more message.
    const turn = this.#turn?.content === "" && this.#turn.tool_calls === undefined ? this.#turn : this.#speak();
    turn.content = text;
  }

  #call(item: RequestFields, at: string): void {
    const id = callId(given(item, "call_id"), `${at}.call_id`);
    const name = functionName(given(item, "name"), `${at}.name`);
    const text = textOf(given(item, "arguments"), `${at}.arguments`);
    this.items.push({ type: "function_call", call_id: id, name, arguments: text, status: "completed" });
    const turn = this.#turn ?? this.#speak();
    const calls = turn.tool_calls ??= [];
    if (calls.length >= LIMITS.toolCalls) {
      throw invalid(at, `must not be more than the ${LIMITS.toolCalls}th call at once`);
    }
    calls.push({ id, name, arguments: text });
    this.#called.set(id, name);
  }

  #output(item: RequestFields, at: string): void {
    const id = callId(given(item, "call_id"), `${at}.call_id`);
    const name = this.#called.get(id);
    if (name === undefined) throw invalid(`${at}.call_id`, "must be that of a function_call before it");
    const texts = textsOf(given(item, "output"), `${at}.output`);
    this.items.push({ type: "function_call_output", call_id: id, output: texts.join("\n"), status: "completed" });
    this.#turn = null;
    this.messages.push({ role: "tool", content: texts.join("\n"), tool_call_id: id, name });
  }

  #reasoning(item: RequestFields, at: string): void {
    const content = partsOf(given(item, "content"), { at: `${at}.content`, type: "reasoning_text" });
    const summary = partsOf(given(item, "summary"), { at: `${at}.summary`, type: "summary_text" });
    this.items.push({
      type: "reasoning",
      summary: summary.map((text) => ({ type: "summary_text", text })),
      content: content.map((text) => ({ type: "reasoning_text", text })),
    });
    const thoughts = (content.length > 0 ? content : summary).join("\n");
    // Thoughts that are encrypted are another vendor's: nobody here can read them.
    if (thoughts !== "") this.#speak().reasoning = thoughts;
  }

  #speak(): Message {
    const turn: Message = { role: "assistant", content: "" };
    this.messages.push(turn);
    return this.#turn = turn;
  }
}

function messageItem(role: string, content: readonly object[]): InputItem {
  return { type: "message", role, status: "completed", content };
}

/** The texts of a message's content or of a call's output. */
function textsOf(value: unknown, at: string): string[] {
  if (typeof value === "string") return [value];
  if (!Array.isArray(value)) throw invalid(at, "must be a text, or a list of parts that are text");
  return value.map((part, index) => textPart(part, `${at}[${index}]`));
}

function textPart(value: unknown, at: string): string {
  const part = objectOf(value, at);
  const type = given(part, "type");
  const field = TEXT_PARTS.get(type);
  if (field !== undefined) return textOf(given(part, field), `${at}.${field}`);
  if (typeof type !== "string") throw invalid(`${at}.type`, "must be input_text or output_text");
  throw unsupported(
    `${at}.type`,
    "must be input_text or output_text: this node cannot read images, sound or files yet",
  );
}

function partsOf(value: unknown, { at, type }: { at: string; type: string }): string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalid(at, "must be a list");
  return value.map((part, index) => {
    if (!isObject(part) || given(part, "type") !== type) throw invalid(`${at}[${index}]`, `must be of type ${type}`);
    return textOf(given(part, "text"), `${at}[${index}].text`);
  });
}
