import { Template } from "@huggingface/jinja";
import { ArkError, type Message, type Tool } from "@ark/node/protocol";
import {
  oneCallEach,
  type Rendered,
  renderedMessages,
  renderedTool,
  type TemplateTraits,
} from "./template_messages.ts";

/** Longest text that a template may make, in characters: several times what a request may hold. */
const MOST_TEXT = 8 << 20;
/** Texts that no template has by itself. */
const PROBE = { tool: "ark_probe_tool", key: "ark_probe_key", value: "ark_probe_value", result: "ark_probe_result" };

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
    const plain = { tools: true, calls: "object", several: true, results: true, system: true } as const;
    const traits = wanted ? this.traits : plain;
    const rendered = renderedMessages(traits.several ? fresh : oneCallEach(fresh), {
      tools,
      traits,
      mark,
      shortIds: this.source.includes("[TOOL_CALLS]"),
    });
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
    const call = (...args: unknown[]) => [user, {
      role: "assistant",
      content: "",
      tool_calls: args.map((each, index) => {
        return { id: `call0000${index}`, type: "function", function: { name: PROBE.tool, arguments: each } };
      }),
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
    if (!shown([user], [tool]).includes(PROBE.tool)) {
      return { tools: false, calls: null, several: true, results: false, system };
    }
    const asObject = shown(call({ [key]: value }), [tool]);
    const asText = shown(call(JSON.stringify({ [key]: value })), [tool]);
    const calls = asObject.includes(value) && asObject.includes(key)
      ? "object"
      : asText.includes(value)
      ? "text"
      : null;
    const results = (calls === "text" ? asText : asObject).includes(PROBE.result);
    const several = calls === null || shown(
      calls === "object"
        ? call({ [key]: "a" }, { [key]: value })
        : call(JSON.stringify({ [key]: "a" }), JSON.stringify({ [key]: value })),
      [tool],
    ).includes(value);
    return { tools: true, calls, several, results, system };
  }
}

/** A text up to the end of the last place where `part` stands, also where a template trimmed it. */
function upTo(text: string, part: string): string {
  for (const wanted of [part, part.trim()]) {
    const at = text.lastIndexOf(wanted);
    if (at >= 0) return text.slice(0, at + wanted.length);
  }
  return text;
}
