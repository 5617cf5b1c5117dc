import assert from "node:assert/strict";
import { RequestFault } from "../../../src/http/api/request_fault.ts";
import { chatMessages, chatTools } from "../../../src/http/ollama/chat_messages.ts";

function call(name: string, args: unknown, id?: string): Record<string, unknown> {
  return { function: { name, arguments: args }, ...id === undefined ? {} : { id } };
}

Deno.test("chatMessages() gives calls ids, and each answer of a function its call", () => {
  const messages = chatMessages([
    { role: "system", content: "Be brief" },
    { role: "user", content: "Weather?", images: [] },
    {
      role: "assistant",
      content: "",
      thinking: "I ask",
      tool_calls: [call("weather", { city: "Rome" }), call("weather", '{"city":"Oslo"}'), call("time", {})],
    },
    { role: "tool", tool_name: "time", content: "noon" },
    { role: "tool", tool_name: "weather", content: "sun" },
    { role: "tool", tool_name: "weather", content: "snow" },
  ]);
  assert.deepEqual(messages, [
    { role: "system", content: "Be brief" },
    { role: "user", content: "Weather?" },
    {
      role: "assistant",
      content: "",
      reasoning: "I ask",
      tool_calls: [
        { id: "call_2_0", name: "weather", arguments: '{"city":"Rome"}' },
        { id: "call_2_1", name: "weather", arguments: '{"city":"Oslo"}' },
        { id: "call_2_2", name: "time", arguments: "{}" },
      ],
    },
    { role: "tool", content: "noon", tool_call_id: "call_2_2", name: "time" },
    { role: "tool", content: "sun", tool_call_id: "call_2_0", name: "weather" },
    { role: "tool", content: "snow", tool_call_id: "call_2_1", name: "weather" },
  ]);
});

Deno.test("chatMessages() keeps ids that are given, and takes answers without a name in their order", () => {
  const messages = chatMessages([
    { role: "assistant", tool_calls: [call("a", {}, "one"), call("b", {}, "two"), call("c", {})] },
    { role: "tool", tool_call_id: "two", content: "2" },
    { role: "tool", content: "1" },
    { role: "tool", name: "c", content: "3" },
    { role: "tool", content: "of nothing" },
  ]);
  assert.deepEqual(messages.slice(1), [
    { role: "tool", content: "2", tool_call_id: "two", name: "b" },
    { role: "tool", content: "1", tool_call_id: "one", name: "a" },
    { role: "tool", content: "3", tool_call_id: "call_0_2", name: "c" },
    { role: "tool", content: "of nothing" },
  ]);
});

Deno.test("chatMessages() refuses what it cannot read, and pictures, by the field's name", () => {
  const wrong: [unknown, string][] = [
    ["hi", "messages"],
    [[1], "messages[0]"],
    [[{ role: "narrator" }], "messages[0].role"],
    [[{ role: "user", content: ["x"] }], "messages[0].content"],
    [[{ role: "user", content: "x", images: ["aGk="] }], "messages[0].images"],
    [[{ role: "user", content: "x", images: "aGk=" }], "messages[0].images"],
    [[{ role: "assistant", tool_calls: {} }], "messages[0].tool_calls"],
    [[{ role: "assistant", tool_calls: [{}] }], "messages[0].tool_calls[0].function"],
    [[{ role: "assistant", tool_calls: [call("f", [1])] }], "messages[0].tool_calls[0].function.arguments"],
    [[{ role: "tool", tool_name: 1 }], "messages[0].tool_name"],
    [Array.from({ length: 2_001 }, () => ({ role: "user" })), "messages"],
  ];
  for (const [messages, param] of wrong) {
    assert.throws(
      () => chatMessages(messages),
      (error) => error instanceof RequestFault && error.param === param,
      param,
    );
  }
});

Deno.test("chatTools() takes functions and refuses the rest", () => {
  const parameters = { type: "object", properties: {} };
  const tools = [{ type: "function", function: { name: "f", description: "d", parameters } }, {
    function: { name: "g" },
  }];
  assert.deepEqual(chatTools(tools), [{ name: "f", description: "d", parameters }, { name: "g" }]);
  assert.equal(chatTools([]), undefined);
  assert.equal(chatTools(undefined), undefined);
  for (const wrong of ["f", [1], [{}], [{ function: { name: 1 } }], [{ function: { name: "f", parameters: "x" } }]]) {
    assert.throws(() => chatTools(wrong), RequestFault);
  }
});
