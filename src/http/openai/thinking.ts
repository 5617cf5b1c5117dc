import { objectOf } from "../api/call_fields.ts";
import { invalid, unsupported } from "../api/request_fault.ts";
import { given, givenFlag, type RequestFields } from "../api/request_fields.ts";

/** Names that templates have for the same switch. */
const SWITCHES = ["enable_thinking", "thinking"];

/** Whether each effort lets a model think at all: a model here thinks or does not. */
const EFFORTS: ReadonlyMap<unknown, boolean> = new Map([
  ["none", false],
  ["minimal", false],
  ["low", true],
  ["medium", true],
  ["high", true],
  ["xhigh", true],
  ["max", true],
]);

/**
 * Whether the model is to think before it answers: vLLM's and llama.cpp's `chat_template_kwargs`, else OpenAI's
 * `reasoning_effort`; undefined where that is left to its template.
 *
 * @throws {RequestFault}
 */
export function thinkOf(fields: RequestFields): boolean | undefined {
  const effort = given(fields, "reasoning_effort");
  const think = EFFORTS.get(effort);
  if (effort !== undefined && think === undefined) {
    throw invalid("reasoning_effort", "must be none, minimal, low, medium, high or xhigh");
  }
  return templateSwitch(given(fields, "chat_template_kwargs")) ?? think;
}

function templateSwitch(value: unknown): boolean | undefined {
  if (value === undefined) return undefined;
  const settings = objectOf(value, "chat_template_kwargs");
  for (const name of Object.keys(settings)) {
    if (SWITCHES.includes(name)) continue;
    throw unsupported(
      "chat_template_kwargs",
      "must have nothing but enable_thinking: a template gets no other settings",
    );
  }
  const name = SWITCHES.find((one) => given(settings, one) !== undefined);
  return name === undefined ? undefined : givenFlag(settings, name, `chat_template_kwargs.${name}`);
}
