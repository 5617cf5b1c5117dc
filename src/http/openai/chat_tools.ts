import type { ChatInput, Tool, ToolChoice } from "@ark/node/protocol";
import { functionName, isObject, objectOf, possibleChoice, schemaOf, textOf, toolsOf } from "../api/call_fields.ts";
import { invalid, unsupported } from "../api/request_fault.ts";
import { given, givenFlag, type RequestFields } from "../api/request_fields.ts";

/** What the model may call. */
export interface ChatTools {
  /** Fields of the input. */
  input: Pick<ChatInput, "tools" | "tool_choice" | "parallel_tool_calls">;
  /** Whether the client knows functions only, of which one is called at a time. */
  legacy: boolean;
}

/**
 * Reads `tools`, `tool_choice` and `parallel_tool_calls`, or in their place the older `functions` and `function_call`.
 *
 * @throws {RequestFault}
 */
export function chatTools(fields: RequestFields): ChatTools {
  const tools = toolsOf(given(fields, "tools"), toolOf);
  const functions = functionsOf(given(fields, "functions"));
  const parallel = given(fields, "parallel_tool_calls");
  if (parallel !== undefined) givenFlag(fields, "parallel_tool_calls");
  if (functions.length > 0) {
    if (tools.length > 0) throw invalid("functions", "must be absent where there are tools: it is their old name");
    const choice = functionChoice(given(fields, "function_call"), functions);
    return { input: { tools: functions, ...choice, parallel_tool_calls: false }, legacy: true };
  }
  functionChoice(given(fields, "function_call"), tools);
  const choice = choiceOf(given(fields, "tool_choice"), tools);
  if (tools.length === 0) return { input: {}, legacy: false };
  return { input: { tools, ...choice, ...parallel === false ? { parallel_tool_calls: false } : {} }, legacy: false };
}

function toolOf(tool: RequestFields, at: string): Tool {
  const type = given(tool, "type");
  if (type !== "function") {
    if (typeof type !== "string") throw invalid(`${at}.type`, "must be function");
    throw unsupported(`${at}.type`, "must be function: this node has no other tools");
  }
  return functionOf(objectOf(given(tool, "function"), `${at}.function`), `${at}.function`);
}

function functionsOf(value: unknown): Tool[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalid("functions", "must be a list");
  return toolsOf(value, (each, at) => functionOf(each, at.replace("tools", "functions")));
}

function functionOf(described: RequestFields, at: string): Tool {
  const tool: Tool = { name: functionName(given(described, "name"), `${at}.name`) };
  const description = given(described, "description");
  if (description !== undefined) tool.description = textOf(description, `${at}.description`);
  const parameters = given(described, "parameters");
  if (parameters !== undefined) tool.parameters = schemaOf(parameters, `${at}.parameters`);
  return tool;
}

function choiceOf(value: unknown, tools: readonly Tool[]): { tool_choice?: ToolChoice } {
  if (value === undefined) return {};
  if (value === "none" || value === "auto" || value === "required") {
    return { tool_choice: possibleChoice(value, tools) };
  }
  if (!isObject(value)) throw invalid("tool_choice", "must be none, auto, required or a function");
  const type = given(value, "type");
  if (type !== "function") {
    if (typeof type !== "string") throw invalid("tool_choice.type", "must be function");
    throw unsupported("tool_choice.type", "must be function: of the tools that are sent, all are allowed");
  }
  const called = objectOf(given(value, "function"), "tool_choice.function");
  return {
    tool_choice: possibleChoice({ name: functionName(given(called, "name"), "tool_choice.function.name") }, tools),
  };
}

function functionChoice(value: unknown, functions: readonly Tool[]): { tool_choice?: ToolChoice } {
  if (value === undefined) return {};
  if (value === "none" || value === "auto") return { tool_choice: value };
  const called = objectOf(value, "function_call");
  const name = functionName(given(called, "name"), "function_call.name");
  if (!functions.some((one) => one.name === name)) throw invalid("function_call", "must name one of the functions");
  return { tool_choice: { name } };
}
