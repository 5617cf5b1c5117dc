import { ArkError, type JsonSchema, type OutputFormat, type Tool } from "@ark/node/protocol";
import { classCharacters, GrammarRules, literal } from "../grammar/grammar_rules.ts";
import { SchemaGrammar } from "../grammar/schema_grammar.ts";
import type { AnswerGrammar } from "../prepare.ts";
import type { CallSyntax, ThinkTags } from "./call_syntax.ts";

/** Calls at once, at most: a small model that must call may not know when to stop. */
const MOST_CALLS = 32;

/** What an answer's grammar is made of. */
export interface AnswerGrammarOptions {
  /** How calls are written; "harmony" where answers have channels; null where there are no functions. */
  syntax: CallSyntax | "harmony" | null;
  /** Functions that may be called: those that the choice leaves. */
  tools: readonly Tool[];
  /** Whether one of them must be called. */
  required: boolean;
  /** Whether several may be called. */
  parallel: boolean;
  /** What the answer must look like, or undefined. */
  format: OutputFormat | undefined;
  /** The tags of thoughts where the model may think, or null. */
  think: ThinkTags | null;
  /** Whether the prompt has begun the thoughts. */
  thinking: boolean;
}

/**
 * What the model may write, or null where it is free. Where a function must be called or a format is kept to, the
 * grammar holds from the first token on, thoughts in their tags excepted; else it begins with what begins a call.
 *
 * @throws {ArkError} `bad_request` where the format cannot be kept to, alone or together with functions.
 */
export function answerGrammar(options: AnswerGrammarOptions): AnswerGrammar | null {
  const { tools, syntax, format, required } = options;
  if (format?.kind === "grammar") {
    if (tools.length > 0) {
      throw new ArkError("bad_request", "A grammar and functions do not go together; leave one of them out");
    }
    return { gbnf: format.grammar, triggers: null };
  }
  const schema: JsonSchema | null = format === undefined
    ? null
    : format.kind === "json"
    ? { type: "object" }
    : format.schema;
  if (tools.length === 0 || syntax === null) return schema === null ? null : formatGrammar(schema, options);
  // Not every schema of a function can be kept to, and that is no reason not to let it be called.
  for (const exact of [true, false]) {
    try {
      return toolGrammar({ ...options, syntax }, { schema, exact });
    } catch (error) {
      if (!exact && (required || schema !== null)) throw error;
    }
  }
  return null;
}

function formatGrammar(schema: JsonSchema, options: AnswerGrammarOptions): AnswerGrammar {
  const rules = new GrammarRules();
  const value = new SchemaGrammar(rules, schema).rule(schema);
  return { gbnf: rules.text(`${prefix(rules, options)} ${finalValue(value, options)}`.trim()), triggers: null };
}

function toolGrammar(
  options: AnswerGrammarOptions & { syntax: CallSyntax | "harmony" },
  { schema, exact }: { schema: JsonSchema | null; exact: boolean },
): AnswerGrammar {
  const { tools, syntax, required } = options;
  const rules = new GrammarRules();
  const maker = new CallRules(rules, { exact });
  const calls = syntax === "harmony" ? maker.harmony(tools) : maker.calls(syntax, tools, options);
  if (!required && schema === null) return { gbnf: rules.text(calls), triggers: triggersOf(syntax, tools) };
  const before = prefix(rules, options);
  if (required || schema === null) return { gbnf: rules.text(`${before} ${calls}`.trim()), triggers: null };
  const value = finalValue(new SchemaGrammar(rules, schema).rule(schema), options);
  return { gbnf: rules.text(`${before} (${calls} | ${value})`.trim()), triggers: null };
}

/** A value as the whole of what is said to the user. */
function finalValue(value: string, { syntax }: AnswerGrammarOptions): string {
  return syntax === "harmony" ? `${literal("<|channel|>final<|message|>")} ${value}` : value;
}

/** What may come before calls or a value: thoughts. */
function prefix(rules: GrammarRules, { syntax, think, thinking }: AnswerGrammarOptions): string {
  if (syntax === "harmony") {
    const thoughts = textUntil("<|end|>", rules);
    return `(${literal("<|channel|>analysis<|message|>")} ${thoughts} ${literal("<|start|>assistant")})?`;
  }
  if (think === null) return "";
  const rest = `${textUntil(think.close, rules)} ${rules.primitive("ws")}`;
  return thinking ? rest : `(${literal(think.open)} ${rest})?`;
}

/** Texts that can be nothing but the beginning of a call. */
function triggersOf(syntax: CallSyntax | "harmony", tools: readonly Tool[]): string[] {
  if (syntax === "harmony") return ["<|channel|>commentary to=functions.", " to=functions."];
  if (syntax.form !== "bare") return [...syntax.open];
  return [...syntax.open, ...tools.map(({ name }) => `{"name": ${JSON.stringify(name)}`)];
}

/** Makes the rules of calls in the model's own syntax. */
class CallRules {
  readonly #rules: GrammarRules;
  readonly #exact: boolean;
  /** Rules for texts, by what ends them. */
  readonly #texts = new Map<string, string>();

  constructor(rules: GrammarRules, { exact }: { exact: boolean }) {
    this.#rules = rules;
    this.#exact = exact;
  }

  /** Calls in gpt-oss's channels; the token that ends one ends the answer, too. */
  harmony(tools: readonly Tool[]): string {
    const bodies = tools.flatMap((tool) => {
      const json = `${literal("json<|message|>")} ${this.#arguments(tool)}`;
      const to = literal(`to=functions.${tool.name}`);
      return [
        `${literal("<|channel|>commentary ")} ${to} " " "<|constrain|>"? ${json}`,
        `" " ${to} ${literal("<|channel|>commentary ")} "<|constrain|>"? ${json}`,
      ];
    });
    return this.#rules.add(bodies.join(" | "));
  }

  /** Calls as most models write them. */
  calls(syntax: CallSyntax, tools: readonly Tool[], { parallel }: { parallel: boolean }): string {
    const ws = this.#rules.primitive("ws");
    const several = (call: string, between: string) =>
      parallel ? `${call} (${between} ${call}){0,${MOST_CALLS - 1}}` : call;
    switch (syntax.name) {
      case "hermes": {
        const call = this.#rules.add(
          `"<tool_call>" ${ws} ${this.#object(tools, ["name", "arguments"])} ${ws} "</tool_call>"`,
        );
        return several(call, ws);
      }
      case "tags":
        return several(this.#tagged(syntax, tools), ws);
      case "pairs":
        return several(this.#pairs(tools), ws);
      case "nemotron":
        return `"<TOOLCALL>" ${ws} ${this.#list(tools, ["name", "arguments"], { parallel })} ${ws} "</TOOLCALL>"`;
      case "kimi": {
        const begin = `":" [0-9]{1,2} "<|tool_call_argument_begin|>"`;
        const call = this.#rules.add(
          tools.map((tool) => {
            const name = literal(`<|tool_call_begin|>functions.${tool.name}`);
            return `${name} ${begin} ${this.#arguments(tool)} "<|tool_call_end|>"`;
          }).join(" | "),
        );
        return `"<|tool_calls_section_begin|>" ${several(call, '""')} "<|tool_calls_section_end|>"`;
      }
      case "functionary":
        return several(this.#named(tools, ["<function=", ">", "</function>"]), ws);
      case "mistral-named":
        return several(this.#named(tools, ["[TOOL_CALLS]", "[ARGS]", ""]), '""');
      case "mistral":
        return `"[TOOL_CALLS]" ${ws} ${this.#list(tools, ["name", "arguments"], { parallel })}`;
      case "granite":
        return `"<|tool_call|>" ${ws} ${this.#list(tools, ["name", "arguments"], { parallel })} "<|/tool_call|>"?`;
      case "command-r":
        return `"<|START_ACTION|>" ${ws} ${this.#list(tools, ["tool_name", "parameters"], { parallel })} ` +
          `${ws} "<|END_ACTION|>"`;
      case "deepseek":
      case "deepseek-fenced": {
        const fenced = syntax.name === "deepseek-fenced";
        const call = this.#named(tools, [
          `<｜tool▁call▁begin｜>${fenced ? "function<｜tool▁sep｜>" : ""}`,
          fenced ? "\n```json\n" : "<｜tool▁sep｜>",
          `${fenced ? "\n```" : ""}<｜tool▁call▁end｜>`,
        ]);
        return `"<｜tool▁calls▁begin｜>" ${several(call, ws)} "<｜tool▁calls▁end｜>"`;
      }
      case "llama":
        return `"<|python_tag|>"? ${several(this.#object(tools, ["name", "parameters"]), `";" ${ws}`)}`;
    }
  }

  /** One object for each function, with the name first. */
  #object(tools: readonly Tool[], [nameKey, argumentsKey]: [string, string]): string {
    const ws = this.#rules.primitive("ws");
    const key = (name: string) => `${literal(JSON.stringify(name))} ":" ${this.#rules.primitive("sp")}`;
    const id = nameKey === "tool_name" ? `${key("tool_call_id")} ${this.#rules.primitive("string")} "," ${ws} ` : "";
    const objects = tools.map((tool) =>
      `"{" ${ws} ${id}${key(nameKey)} ${literal(JSON.stringify(tool.name))} "," ${ws} ` +
      `${key(argumentsKey)} ${this.#arguments(tool)} ${ws} "}"`
    );
    return this.#rules.add(objects.join(" | "));
  }

  #list(tools: readonly Tool[], keys: [string, string], { parallel }: { parallel: boolean }): string {
    const ws = this.#rules.primitive("ws");
    const object = this.#object(tools, keys);
    return `"[" ${ws} ${object} ${parallel ? `("," ${ws} ${object}){0,${MOST_CALLS - 1}} ` : ""}${ws} "]"`;
  }

  #named(tools: readonly Tool[], [before, between, after]: [string, string, string]): string {
    return this.#rules.add(
      tools.map((tool) => `${literal(before + tool.name + between)} ${this.#arguments(tool)} ${literal(after)}`)
        .join(" | "),
    );
  }

  #tagged({ open, close }: CallSyntax, tools: readonly Tool[]): string {
    const ws = this.#rules.primitive("ws");
    const functions = tools.map((tool) => {
      const parameters = this.#parameters(tool, (name) => [`<parameter=${name}>\n`, "\n</parameter>"]);
      return `${literal(`<function=${tool.name}>\n`)} ${parameters} "</function>"`;
    });
    const [before = "", after = ""] = [open[0], close[0]];
    return this.#rules.add(`${literal(before)} ${ws} (${functions.join(" | ")}) ${ws} ${literal(after)}`);
  }

  #pairs(tools: readonly Tool[]): string {
    const functions = tools.map((tool) => {
      const parameters = this.#parameters(tool, (name) => {
        return [`<arg_key>${name}</arg_key>\n<arg_value>`, "</arg_value>"];
      });
      return `${literal(`<tool_call>${tool.name}\n`)} ${parameters} "</tool_call>"`;
    });
    return this.#rules.add(functions.join(" | "));
  }

  /** Arguments between tags: texts stand there as they are, all else as JSON. */
  #parameters(tool: Tool, tags: (name: string) => [open: string, close: string]): string {
    const ws = this.#rules.primitive("ws");
    const { properties, required } = tool.parameters ?? {};
    if (typeof properties !== "object" || properties === null) return '""';
    return Object.entries(properties).map(([name, schema]: [string, unknown]) => {
      const [open, close] = tags(name);
      const parameter = this.#rules.add(`${literal(open)} ${this.#tagValue(schema, tool, close)} ${ws}`);
      return Array.isArray(required) && required.includes(name) ? parameter : `${parameter}?`;
    }).join(" ");
  }

  #tagValue(schema: unknown, { parameters }: Tool, close: string): string {
    const { type, enum: values } = typeof schema === "object" && schema !== null ? schema as JsonSchema : {};
    if (type !== "string") return `${this.#schema(schema, parameters)} ${literal(close)}`;
    if (Array.isArray(values)) {
      return `(${values.map((value) => literal(String(value))).join(" | ")}) ${literal(close)}`;
    }
    let text = this.#texts.get(close);
    if (text === undefined) this.#texts.set(close, text = textUntil(close, this.#rules));
    return text;
  }

  #arguments({ parameters }: Tool): string {
    const schema = parameters ?? { additionalProperties: false };
    return this.#schema({ type: "object", ...schema }, schema);
  }

  #schema(schema: unknown, root: unknown): string {
    return this.#exact ? new SchemaGrammar(this.#rules, root).rule(schema) : this.#rules.primitive("object");
  }
}

/** A rule for any text up to and with another one that comes in it only at the end. */
function textUntil(end: string, rules: GrammarRules): string {
  const characters = [...end];
  const names = characters.map(() => rules.reserve());
  // How much of the end has been written, and what the next character makes of that (Knuth, Morris, Pratt).
  for (const [at, name] of names.entries()) {
    const going = [...new Set(characters)].map((character) => {
      return { character, length: matched([...characters.slice(0, at), character], characters) };
    }).filter(({ length }) => length > 0);
    const others = classCharacters(going.map(({ character }) => character).join(""));
    rules.set(
      name,
      [
        ...going.map(({ character, length }) => `${literal(character)} ${names[length] ?? ""}`.trim()),
        `[^${others}] ${names[0]}`,
      ].join(" | "),
    );
  }
  return names[0] ?? '""';
}

/** The longest end of a text that is a beginning of another one. */
function matched(text: readonly string[], beginning: readonly string[]): number {
  for (let length = Math.min(text.length, beginning.length); length > 0; length--) {
    if (beginning.slice(0, length).every((character, at) => character === text[text.length - length + at])) {
      return length;
    }
  }
  return 0;
}
