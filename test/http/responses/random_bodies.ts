/** Bodies of `POST /v1/responses`: what programs send, and the same with something wrong in it. */
import fc from "fast-check";
import { almost, anyJson } from "../../protocol/json_values.ts";

const SCHEMA = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city"],
  additionalProperties: false,
};
const TOOL = { type: "function", name: "weather", description: "Looks it up", parameters: SCHEMA, strict: true };
const CALL = { type: "function_call", id: "fc_1", call_id: "call_a", name: "weather", arguments: '{"city":"Ulm"}' };

const INPUTS: readonly unknown[] = [
  "one two three",
  [{ role: "user", content: "one" }],
  [
    { type: "message", role: "developer", content: [{ type: "input_text", text: "Be brief" }] },
    { role: "user", content: [{ type: "input_text", text: "one" }, { type: "input_text", text: "two" }] },
    { type: "reasoning", id: "rs_1", summary: [], content: [{ type: "reasoning_text", text: "Hm" }] },
    {
      type: "message",
      role: "assistant",
      id: "msg_1",
      status: "completed",
      content: [{ type: "output_text", text: "a" }],
    },
    CALL,
    { type: "function_call_output", call_id: "call_a", output: "sunny" },
  ],
];

/** Fields that may be there or not, with values that are right. */
const OPTIONAL: Readonly<Record<string, readonly unknown[]>> = {
  instructions: ["Be brief", null],
  stream: [true, false],
  store: [true, false],
  max_output_tokens: [1, 5],
  temperature: [0, 0.7, 2],
  top_p: [0.1, 1],
  top_logprobs: [0, 3],
  include: [[], ["message.output_text.logprobs"], ["reasoning.encrypted_content"]],
  metadata: [{}, { a: "b" }],
  parallel_tool_calls: [true, false],
  reasoning: [{}, { effort: "low" }, { effort: "none", summary: "auto" }],
  text: [{}, { format: { type: "text" } }, { format: { type: "json_object" }, verbosity: "low" }, {
    format: { type: "json_schema", name: "s", schema: SCHEMA, strict: true },
  }],
  tool_choice: ["auto", "none"],
  truncation: ["auto", "disabled"],
  user: ["somebody"],
  service_tier: ["auto"],
  unheard_of: [1],
};

/** A body that is right in every part. */
export function validBody(model: string): fc.Arbitrary<Record<string, unknown>> {
  const some = Object.entries(OPTIONAL).map(([name, values]) => [name, fc.constantFrom(...values)] as const);
  const tools = fc.constantFrom({}, { tools: [] }, { tools: [TOOL] }, { tools: [TOOL], tool_choice: "required" }, {
    tools: [TOOL, { type: "function", name: "time" }],
    tool_choice: { type: "function", name: "time" },
  });
  return fc.tuple(fc.constantFrom(...INPUTS), fc.record(Object.fromEntries(some), { requiredKeys: [] }), tools)
    .map(([input, fields, called]) => ({ ...fields, ...called, model, input }));
}

/** Any body: right ones, ones that are wrong in one place, and anything. */
export function anyBody(model: string): fc.Arbitrary<unknown> {
  const right = validBody(model);
  return fc.oneof({ weight: 3, arbitrary: right }, { weight: 5, arbitrary: right.chain(almost) }, {
    weight: 1,
    arbitrary: anyJson(),
  });
}
