import type { ChatInput, JsonSchema, Tool, ToolChoice } from "@ark/node/protocol";
import { functionName, objectOf, possibleChoice, schemaOf, textOf, toolsOf } from "../api/call_fields.ts";
import { invalid, unsupported } from "../api/request_fault.ts";
import { given, type RequestFields } from "../api/request_fields.ts";

/** A function as a response shows it again. */
export interface ShownTool {
  /** Always `function`. */
  type: "function";
  /** Its name. */
  name: string;
  /** What it is for. */
  description: string | null;
  /** Its arguments. */
  parameters: JsonSchema | null;
  /** As the request said. */
  strict: boolean | null;
}

/** The functions of a request, for the model and as the response shows them. */
export interface ReadTools {
  /** For the model. */
  input: Pick<ChatInput, "tools" | "tool_choice" | "parallel_tool_calls">;
  /** `tools` of the response. */
  tools: ShownTool[];
  /** `tool_choice` of the response. */
  tool_choice: unknown;
  /** `parallel_tool_calls` of the response. */
  parallel_tool_calls: boolean;
}

/**
 * Reads `tools`, `tool_choice` and `parallel_tool_calls`.
 *
 * @throws {RequestFault}
 */
export function readTools(fields: RequestFields): ReadTools {
  const shown: ShownTool[] = [];
  const all = toolsOf(given(fields, "tools"), (tool, at) => {
    const { read, show } = functionTool(tool, at);
    shown.push(show);
    return read;
  });
  const parallel = given(fields, "parallel_tool_calls") ?? true;
  if (typeof parallel !== "boolean") throw invalid("parallel_tool_calls", "must be true or false");
  const asked = given(fields, "tool_choice") ?? "auto";
  const { choice, tools, show } = choiceOf(asked, all);
  const input: ReadTools["input"] = {};
  if (tools.length > 0) {
    input.tools = tools;
    input.tool_choice = choice;
    input.parallel_tool_calls = parallel;
  }
  return { input, tools: shown, tool_choice: show, parallel_tool_calls: parallel };
}

function functionTool(tool: RequestFields, at: string): { read: Tool; show: ShownTool } {
  const type = given(tool, "type");
  if (typeof type !== "string") throw invalid(`${at}.type`, "must be function");
  if (type !== "function") {
    throw unsupported(`${at}.type`, "must be function: this node runs no tools of its own, your program does");
  }
  const name = functionName(given(tool, "name"), `${at}.name`);
  const description = given(tool, "description");
  const parameters = given(tool, "parameters");
  const strict = given(tool, "strict") ?? null;
  if (strict !== null && typeof strict !== "boolean") throw invalid(`${at}.strict`, "must be true or false");
  const read: Tool = { name };
  if (description !== undefined) read.description = textOf(description, `${at}.description`);
  if (parameters !== undefined) read.parameters = schemaOf(parameters, `${at}.parameters`);
  const show = { description: read.description ?? null, parameters: read.parameters ?? null, strict };
  return { read, show: { type: "function", name, ...show } };
}

interface Choice {
  choice: ToolChoice;
  tools: Tool[];
  show: unknown;
}

function choiceOf(asked: unknown, tools: Tool[]): Choice {
  if (asked === "auto" || asked === "none" || asked === "required") {
    return { choice: possibleChoice(asked, tools), tools, show: asked };
  }
  const fields = objectOf(asked, "tool_choice");
  const type = given(fields, "type");
  if (type === "function") {
    const name = functionName(given(fields, "name"), "tool_choice.name");
    return { choice: possibleChoice({ name }, tools), tools, show: { type: "function", name } };
  }
  if (type === "allowed_tools") return allowedTools(fields, tools);
  throw unsupported("tool_choice", "must be auto, none, required, or of type function or allowed_tools");
}

/** The model is shown those tools alone that it may call. */
function allowedTools(fields: RequestFields, tools: Tool[]): Choice {
  const mode = given(fields, "mode");
  if (mode !== "auto" && mode !== "required") throw invalid("tool_choice.mode", "must be auto or required");
  const list = given(fields, "tools");
  if (!Array.isArray(list) || list.length === 0) throw invalid("tool_choice.tools", "must be a non-empty list");
  const names = list.map((entry, index) => {
    const at = `tool_choice.tools[${index}]`;
    return functionName(given(objectOf(entry, at), "name"), `${at}.name`);
  });
  for (const name of names) possibleChoice({ name }, tools);
  const allowed = tools.filter(({ name }) => names.includes(name));
  const show = { type: "allowed_tools", mode, tools: names.map((name) => ({ type: "function", name })) };
  return { choice: mode, tools: allowed, show };
}
