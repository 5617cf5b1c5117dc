import { decodeSchema, type JsonSchema, LIMITS, type Tool, type ToolChoice } from "@ark/node/protocol";
import { invalid } from "./request_fault.ts";
import { namingField, type RequestFields } from "./request_fields.ts";

/** Deepest arguments of a call, in levels. */
const MOST_LEVELS = 128;

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is RequestFields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * A JSON object.
 *
 * @throws {RequestFault} `invalid_value`
 */
export function objectOf(value: unknown, at: string): RequestFields {
  if (!isObject(value)) throw invalid(at, "must be an object");
  return value;
}

/**
 * A text.
 *
 * @throws {RequestFault} `invalid_value`
 */
export function textOf(value: unknown, at: string): string {
  if (typeof value !== "string") throw invalid(at, "must be a text");
  return value;
}

/**
 * The name of a function.
 *
 * @throws {RequestFault} `invalid_value`
 */
export function functionName(value: unknown, at: string): string {
  if (typeof value === "string" && /^[\w.-]{1,64}$/.test(value)) return value;
  throw invalid(at, "must be 1 to 64 letters, digits, underscores, dashes or points");
}

/**
 * What names one call of a function.
 *
 * @throws {RequestFault} `invalid_value`
 */
export function callId(value: unknown, at: string): string {
  if (typeof value === "string" && /^[\x21-\x7e]{1,64}$/.test(value)) return value;
  throw invalid(at, "must be 1 to 64 printable characters without spaces");
}

/**
 * A JSON Schema.
 *
 * @throws {RequestFault} `invalid_value`
 */
export function schemaOf(value: unknown, at: string): JsonSchema {
  return namingField(at, () => decodeSchema(value, at));
}

/**
 * Functions that the model may call, each with a name of its own.
 *
 * @throws {RequestFault} `invalid_value`
 */
export function toolsOf(value: unknown, read: (tool: RequestFields, at: string) => Tool): Tool[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalid("tools", "must be a list");
  if (value.length > LIMITS.tools) throw invalid("tools", `must have at most ${LIMITS.tools} entries`);
  const tools = value.map((tool, index) => read(objectOf(tool, `tools[${index}]`), `tools[${index}]`));
  const names = new Set<string>();
  for (const { name } of tools) {
    if (names.has(name)) throw invalid("tools", `must not name two tools ${name}`);
    names.add(name);
  }
  return tools;
}

/**
 * Checks that a choice names one of the tools.
 *
 * @throws {RequestFault} `invalid_value`
 */
export function possibleChoice(choice: ToolChoice, tools: readonly Tool[]): ToolChoice {
  if (choice === "auto" || choice === "none") return choice;
  if (tools.length === 0) throw invalid("tool_choice", "asks for a tool, and there are none");
  if (choice !== "required" && !tools.some(({ name }) => name === choice.name)) {
    throw invalid("tool_choice", "must name one of the tools");
  }
  return choice;
}

/**
 * A JSON object as text, as a model once wrote it.
 *
 * @throws {RequestFault} `invalid_value`
 */
export function argumentsText(value: unknown, at: string): string {
  // Turning what is too deep into a text would end in a fault.
  if (!isWithin(objectOf(value, at), MOST_LEVELS)) throw invalid(at, `must have at most ${MOST_LEVELS} levels`);
  return JSON.stringify(value);
}

function isWithin(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return levels > 0 && Object.values(value).every((each) => isWithin(each, levels - 1));
}
