import type { Message, Tool } from "@ark/node/protocol";

/** What a template can render besides plain messages. */
export interface TemplateTraits {
  /** It describes functions. */
  readonly tools: boolean;
  /** It renders calls, whose arguments it wants as an object or as a JSON text; or it does not. */
  readonly calls: "object" | "text" | null;
  /** It renders several calls of one message. */
  readonly several: boolean;
  /** It renders results of calls. */
  readonly results: boolean;
  /** It knows the system role. */
  readonly system: boolean;
}

/** A message or a function as a template sees it. */
export type Rendered = Record<string, unknown>;

/** What messages are worded with. */
export interface Wording {
  /** Functions that may be called. */
  tools: readonly Tool[];
  /** What the template can render. */
  traits: TemplateTraits;
  /** Marks what a caller wrote. */
  mark(text: string): string;
  /** Whether the template wants names of calls that have nine letters. */
  shortIds: boolean;
}

/** Messages as the template wants them. */
export function renderedMessages(messages: readonly Message[], wording: Wording): Rendered[] {
  const { tools, traits, mark } = wording;
  const names = new Map(
    messages.flatMap(({ tool_calls = [] }) => tool_calls.map(({ id, name }) => [id, name] as const)),
  );
  const ids = new Map([...names.keys()].map((id, index) => [id, `call${String(index).padStart(5, "0")}`] as const));
  const idOf = (id: string) => wording.shortIds ? ids.get(id) ?? "call99999" : mark(id);
  const rendered = messages.map((message): Rendered => {
    const { role, content, reasoning, tool_calls, tool_call_id, name } = message;
    const plain = { role, content: mark(content) };
    if (role === "tool") {
      if (!traits.results) return { role: "user", content: `<tool_response>\n${mark(content)}\n</tool_response>` };
      const known = name ?? names.get(tool_call_id ?? "");
      return {
        ...plain,
        ...tool_call_id === undefined ? {} : { tool_call_id: idOf(tool_call_id) },
        ...known === undefined ? {} : { name: mark(known) },
      };
    }
    const thoughts = reasoning === undefined ? {} : { reasoning_content: mark(reasoning), thinking: mark(reasoning) };
    if (tool_calls === undefined) return { ...plain, ...thoughts };
    if (traits.calls === null) {
      const calls = tool_calls.map((call) => `<tool_call>\n${wordedCall(call, mark)}\n</tool_call>`);
      return { role, content: [plain.content, ...calls].filter(Boolean).join("\n"), ...thoughts };
    }
    return {
      ...plain,
      ...thoughts,
      tool_calls: tool_calls.map((call) => ({
        id: idOf(call.id),
        type: "function",
        function: {
          name: mark(call.name),
          arguments: traits.calls === "object" ? objectOf(call.arguments, mark) : mark(call.arguments),
        },
      })),
    };
  });
  const taught = tools.length > 0 && !traits.tools;
  const all = taught ? [{ role: "system", content: description(tools, mark) }, ...rendered] : rendered;
  const known = traits.system ? all : all.map((each) => each.role === "system" ? { ...each, role: "user" } : each);
  // Many templates want the roles to take turns.
  return joined(known, [...taught ? ["system"] : [], ...traits.system && traits.results ? [] : ["user"]]);
}

/** Messages of which each calls one function at most, with its result after it. */
export function oneCallEach(messages: readonly Message[]): Message[] {
  const placed = new Set<Message>();
  const all: Message[] = [];
  for (const message of messages) {
    if (placed.has(message)) continue;
    const { tool_calls = [], ...rest } = message;
    if (tool_calls.length < 2) {
      all.push(message);
      continue;
    }
    for (const [index, call] of tool_calls.entries()) {
      all.push(index === 0 ? { ...rest, tool_calls: [call] } : { role: "assistant", content: "", tool_calls: [call] });
      const result = messages.find(({ role, tool_call_id }) => role === "tool" && tool_call_id === call.id);
      if (result === undefined || placed.has(result)) continue;
      placed.add(result);
      all.push(result);
    }
  }
  return all;
}

/** What a model is told of functions where its template says nothing of them. */
function description(tools: readonly Tool[], mark: (text: string) => string): string {
  const described = tools.map((tool) => JSON.stringify(renderedTool(tool, mark))).join("\n");
  return "You may call functions to help with what you are asked. They are described here, one in each line:\n" +
    `<tools>\n${described}\n</tools>\n` +
    "To call one, write its name and its arguments as JSON, between these tags and nothing after them:\n" +
    '<tool_call>\n{"name": "NAME", "arguments": {"KEY": "VALUE"}}\n</tool_call>\n' +
    "What the function said then comes between <tool_response> and </tool_response>.";
}

function wordedCall({ name, arguments: written }: { name: string; arguments: string }, mark: (text: string) => string) {
  return JSON.stringify({ name: mark(name), arguments: objectOf(written, mark) });
}

/** Arguments as an object, marked within; as they were written where they are no JSON. */
function objectOf(written: string, mark: (text: string) => string): unknown {
  try {
    return markedDeeply(written.trim() === "" ? {} : JSON.parse(written), mark);
  } catch {
    return mark(written);
  }
}

/** A function as templates want it. */
export function renderedTool({ name, description, parameters }: Tool, mark: (text: string) => string): Rendered {
  return {
    type: "function",
    function: {
      name: mark(name),
      description: mark(description ?? ""),
      parameters: markedDeeply(parameters ?? { type: "object", properties: {} }, mark),
    },
  };
}

/** A JSON value in which all texts and names are marked. */
function markedDeeply(value: unknown, mark: (text: string) => string): unknown {
  if (typeof value === "string") return mark(value);
  if (Array.isArray(value)) return value.map((item) => markedDeeply(item, mark));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [mark(key), markedDeeply(item, mark)]));
}

/** Messages of one of some roles that follow each other, as one. */
function joined(messages: Rendered[], roles: readonly string[]): Rendered[] {
  const all: Rendered[] = [];
  for (const message of messages) {
    const last = all.at(-1);
    if (last !== undefined && last.role === message.role && roles.includes(String(message.role))) {
      last.content = `${last.content}\n\n${message.content}`;
    } else all.push({ ...message });
  }
  return all;
}
