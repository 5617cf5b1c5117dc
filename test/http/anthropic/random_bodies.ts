/** Bodies of `POST /v1/messages`: what programs send, and the same with something wrong in it. */
import fc from "fast-check";
import { almost, anyJson } from "../../protocol/json_values.ts";

const SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const TOOL = {
  name: "weather",
  description: "Looks it up",
  input_schema: SCHEMA,
  cache_control: { type: "ephemeral" },
};
const USE = { type: "tool_use", id: "toolu_1", name: "weather", input: { city: "Ulm", deep: [{ a: null }] } };

const MESSAGES: readonly unknown[] = [
  [{ role: "user", content: "one two three" }],
  [{ role: "user", content: [{ type: "text", text: "one", cache_control: { type: "ephemeral" } }] }],
  [
    { role: "user", content: [{ type: "text", text: "one" }, { type: "text", text: "two" }] },
    {
      role: "assistant",
      content: [{ type: "thinking", thinking: "Hm", signature: "x" }, { type: "text", text: "a" }, USE],
    },
    {
      role: "user",
      content: [
        { type: "tool_result", tool_use_id: "toolu_1", content: [{ type: "text", text: "sunny" }], is_error: true },
        { type: "text", text: "And now?" },
      ],
    },
  ],
  [{ role: "user", content: "a" }, { role: "user", content: "b" }, { role: "assistant", content: "c" }],
];

/** Fields that may be there or not, with values that are right. */
const OPTIONAL: Readonly<Record<string, readonly unknown[]>> = {
  system: ["Be brief", [{ type: "text", text: "Be brief" }], null],
  stream: [true, false],
  stop_sequences: [[], ["###", "end"]],
  temperature: [0, 1],
  top_p: [0.1, 1],
  top_k: [0, 40],
  thinking: [{ type: "disabled" }, { type: "enabled", budget_tokens: 1_024 }, { type: "adaptive" }],
  metadata: [{}, { user_id: "somebody" }],
  service_tier: ["auto"],
  output_config: [{}, { effort: "low" }, { format: { type: "json_schema", schema: SCHEMA } }],
  context_management: [{ edits: [] }],
  unheard_of: [1],
};

/** A body that is right in every part. */
export function validBody(model: string): fc.Arbitrary<Record<string, unknown>> {
  const some = Object.entries(OPTIONAL).map(([name, values]) => [name, fc.constantFrom(...values)] as const);
  const tools = fc.constantFrom(
    {},
    { tools: [] },
    { tools: [TOOL] },
    {
      tools: [TOOL],
      tool_choice: { type: "any", disable_parallel_tool_use: true },
    },
    { tools: [TOOL], tool_choice: { type: "tool", name: "weather" } },
    {
      tools: [TOOL],
      tool_choice: { type: "none" },
    },
  );
  return fc.tuple(fc.constantFrom(...MESSAGES), fc.record(Object.fromEntries(some), { requiredKeys: [] }), tools)
    .map(([messages, fields, called]) => ({ ...fields, ...called, model, max_tokens: 5, messages }));
}

/** Any body: right ones, ones that are wrong in one place, and anything. */
export function anyBody(model: string): fc.Arbitrary<unknown> {
  const right = validBody(model);
  return fc.oneof({ weight: 3, arbitrary: right }, { weight: 5, arbitrary: right.chain(almost) }, {
    weight: 1,
    arbitrary: anyJson(),
  });
}
