import { Template } from "@huggingface/jinja";
import { ArkError, type Message, type Tool } from "@ark/node/protocol";

/** Longest text that a template may make, in characters: several times what a request may hold. */
const MOST_TEXT = 8 << 20;
/** Texts that no template has by itself. */
const PROBE = { tool: "ark_probe_tool", key: "ark_probe_key", value: "ark_probe_value", result: "ark_probe_result" };

/** What a template can render besides plain messages. */
export interface TemplateTraits {
  /** It describes functions. */
  readonly tools: boolean;
  /** It renders calls, whose arguments it wants as an object or as a JSON text; or it does not. */
  readonly calls: "object" | "text" | null;
  /** It renders results of calls. */
  readonly results: boolean;
  /** It knows the system role. */
  readonly system: boolean;
}

/** What a template is rendered with. */
export interface RenderOptions {
  /** At least one. */
  messages: readonly Message[];
  /** Functions that may be called. */
  tools: readonly Tool[];
  /** Whether the model is to think, or undefined. */
  think: boolean | undefined;
  /** Marks what a caller wrote, so that it speaks no control language. */
  mark(text: string): string;
}

/** Texts that a template has of the model's vocabulary. */
export interface TemplateModel {
  /** The template in Jinja, or null. */
  readonly template: string | null;
  /** Text of the token that begins a text, or null. */
  readonly bosText: string | null;
  /** Text of the token that ends a text, or null. */
  readonly eosText: string | null;
}

type Rendered = Record<string, unknown>;

/**
 * A model's chat template. What it cannot render by itself (functions, calls, results, a system prompt), it gets in words
 * within the messages, so that every chat model can be asked with functions.
 */
export class ChatTemplate {
  readonly #model: TemplateModel;
  #compiled: Template | undefined;
  #traits: TemplateTraits | undefined;

  /** Takes a model's template; it is read when it is used for the first time. */
  constructor(model: TemplateModel) {
    this.#model = model;
  }

  /** The template's text, or "". */
  get source(): string {
    return this.#model.template ?? "";
  }

  /** What the template can render: it is tried once. */
  get traits(): TemplateTraits {
    return this.#traits ??= this.#probe();
  }

  /**
   * The text of a prompt.
   *
   * @throws {ArkError} `bad_request` where the model has no chat template, or it refuses the messages.
   */
  render({ messages, tools, think, mark }: RenderOptions): string {
    this.#template();
    const begun = messages.at(-1);
    const empty = begun?.role === "assistant" && begun.content.trim() === "" && begun.tool_calls === undefined;
    const fresh = empty ? messages.slice(0, -1) : messages;
    const wanted = tools.length > 0 ||
      fresh.some(({ role, tool_calls }) => role === "tool" || tool_calls !== undefined);
    const plain = { tools: true, calls: "object", results: true, system: true } as const;
    const traits = wanted ? this.traits : plain;
    const rendered = renderedMessages(fresh, { tools, traits, mark, shortIds: this.source.includes("[TOOL_CALLS]") });
    const last = fresh.at(-1);
    // An answer that has begun is gone on with: no new turn, and nothing that closes the last one.
    const continues = last?.role === "assistant" && last.tool_calls === undefined;
    let text: string;
    try {
      text = this.#render({
        messages: rendered,
        add_generation_prompt: !continues,
        tools: tools.length > 0 && traits.tools ? tools.map((tool) => renderedTool(tool, mark)) : null,
        ...think === undefined ? {} : { enable_thinking: think, thinking: think },
        ...think === false ? { reasoning_effort: "low" } : {},
      });
    } catch {
      // What the template says may quote the messages.
      throw new ArkError(
        "bad_request",
        "The model's chat template refuses these messages: it may not know the system role, or want user and assistant " +
          "to take turns",
      );
    }
    if (text.length > MOST_TEXT) {
      throw new ArkError(
        "bad_request",
        "The model's chat template makes a text of these messages that is far too long",
      );
    }
    return continues ? upTo(text, mark(last.content)) : text;
  }

  #render(variables: Rendered): string {
    return this.#template().render({
      bos_token: this.#model.bosText ?? "",
      eos_token: this.#model.eosText ?? "",
      documents: null,
      ...variables,
    });
  }

  #template(): Template {
    if (this.#compiled !== undefined) return this.#compiled;
    if (this.#model.template === null) {
      throw new ArkError("bad_request", "The model has no chat template; ask it with a raw prompt instead");
    }
    try {
      return this.#compiled = new Template(this.#model.template);
    } catch {
      throw new ArkError("engine_failed", "The model's chat template cannot be read; ask it with a raw prompt instead");
    }
  }

  #probe(): TemplateTraits {
    const user = { role: "user", content: "a" };
    const call = (args: unknown) => [user, {
      role: "assistant",
      content: "",
      tool_calls: [{ id: "call00000", type: "function", function: { name: PROBE.tool, arguments: args } }],
    }, { role: "tool", tool_call_id: "call00000", name: PROBE.tool, content: PROBE.result }];
    const tool = { type: "function", function: { name: PROBE.tool, description: "a", parameters: { type: "object" } } };
    const shown = (messages: Rendered[], tools: Rendered[] | null) => {
      try {
        return this.#render({ messages, tools, add_generation_prompt: true });
      } catch {
        return "";
      }
    };
    const { key, value } = PROBE;
    const system = shown([{ role: "system", content: value }, user], null).includes(value);
    // Who is taught to call functions is taught how calls and results look, too.
    if (!shown([user], [tool]).includes(PROBE.tool)) return { tools: false, calls: null, results: false, system };
    const asObject = shown(call({ [key]: value }), [tool]);
    const asText = shown(call(JSON.stringify({ [key]: value })), [tool]);
    const calls = asObject.includes(value) && asObject.includes(key)
      ? "object"
      : asText.includes(value)
      ? "text"
      : null;
    const results = (calls === "text" ? asText : asObject).includes(PROBE.result);
    return { tools: true, calls, results, system };
  }
}

interface Wording {
  tools: readonly Tool[];
  traits: TemplateTraits;
  mark(text: string): string;
  /** Whether the template wants names of calls that have nine letters. */
  shortIds: boolean;
}

/** Messages as the template wants them. */
function renderedMessages(messages: readonly Message[], wording: Wording): Rendered[] {
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

function renderedTool({ name, description, parameters }: Tool, mark: (text: string) => string): Rendered {
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

/** A text up to the end of the last place where `part` stands, also where a template trimmed it. */
function upTo(text: string, part: string): string {
  for (const wanted of [part, part.trim()]) {
    const at = text.lastIndexOf(wanted);
    if (at >= 0) return text.slice(0, at + wanted.length);
  }
  return text;
}
