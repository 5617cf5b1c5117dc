import type { ChatInput, Tool, ToolChoice } from "@ark/node/protocol";
import { functionName, objectOf, possibleChoice, schemaOf, textOf, toolsOf } from "../api/call_fields.ts";
import { invalid, unsupported } from "../api/request_fault.ts";
import { given, givenFlag, type RequestFields } from "../api/request_fields.ts";

/** The part of a chat that says which functions there are. */
export type ToolInput = Pick<ChatInput, "tools" | "tool_choice" | "parallel_tool_calls">;

/**
 * Reads `tools` and `tool_choice`.
 *
 * @throws {RequestFault}
 */
export function readTools(fields: RequestFields): ToolInput {
  const tools = toolsOf(given(fields, "tools"), customTool);
  const asked = given(fields, "tool_choice");
  const choice = asked === undefined ? undefined : objectOf(asked, "tool_choice");
  const alone = choice !== undefined &&
    givenFlag(choice, "disable_parallel_tool_use", "tool_choice.disable_parallel_tool_use");
  const tool_choice = possibleChoice(choice === undefined ? "auto" : choiceOf(choice), tools);
  return tools.length === 0 ? {} : { tools, tool_choice, parallel_tool_calls: !alone };
}

function customTool(tool: RequestFields, at: string): Tool {
  const type = given(tool, "type") ?? "custom";
  if (typeof type !== "string") throw invalid(`${at}.type`, "must be custom");
  if (type !== "custom") {
    throw unsupported(`${at}.type`, "must be custom: this node runs no tools of its own, your program does");
  }
  const read: Tool = { name: functionName(given(tool, "name"), `${at}.name`) };
  const description = given(tool, "description");
  if (description !== undefined) read.description = textOf(description, `${at}.description`);
  const schema = schemaOf(given(tool, "input_schema"), `${at}.input_schema`);
  if (schema.type !== "object") throw invalid(`${at}.input_schema.type`, "must be object");
  read.parameters = schema;
  return read;
}

function choiceOf(choice: RequestFields): ToolChoice {
  const type = given(choice, "type");
  switch (type) {
    case "auto":
    case "none":
      return type;
    case "any":
      return "required";
    case "tool":
      return { name: functionName(given(choice, "name"), "tool_choice.name") };
  }
  throw invalid("tool_choice.type", "must be auto, any, tool or none");
}
