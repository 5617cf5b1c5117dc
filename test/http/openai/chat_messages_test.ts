import assert from "node:assert/strict";
import { chatMessages } from "../../../src/http/openai/chat_messages.ts";
import { RequestFault } from "../../../src/http/api/request_fault.ts";

function param(messages: unknown): string {
  try {
    chatMessages(messages);
  } catch (error) {
    assert.ok(error instanceof RequestFault, String(error));
    return `${error.fault} ${error.param}`;
  }
  throw new Error("It was accepted");
}

Deno.test("chatMessages() keeps role and text, and takes a developer for the system", () => {
  const roles = ["developer", "system", "user", "assistant"];
  assert.deepEqual(chatMessages(roles.map((role) => ({ role, content: role, name: "n" }))), [
    { role: "system", content: "developer" },
    { role: "system", content: "system" },
    { role: "user", content: "user" },
    { role: "assistant", content: "assistant" },
  ]);
});

Deno.test("chatMessages() joins parts of text as lines", () => {
  const content = [{ type: "text", text: "a" }, { type: "text", text: "b", cache_control: { type: "ephemeral" } }];
  assert.deepEqual(chatMessages([{ role: "user", content }]), [{ role: "user", content: "a\nb" }]);
});

Deno.test("chatMessages() takes an assistant without content for one who said nothing", () => {
  for (
    const message of [{ role: "assistant", content: null }, { role: "assistant" }, {
      role: "assistant",
      tool_calls: [],
    }]
  ) {
    assert.deepEqual(chatMessages([message]), [{ role: "assistant", content: "" }]);
  }
});

Deno.test("chatMessages() names the message and the field that it refuses", () => {
  const after = (message: unknown) => param([{ role: "user", content: "x" }, message]);
  assert.equal(param(undefined), "invalid_value messages");
  assert.equal(param([]), "invalid_value messages");
  assert.equal(param(Array(2_001).fill({ role: "user", content: "x" })), "invalid_value messages");
  assert.equal(after(null), "invalid_value messages[1]");
  assert.equal(after([]), "invalid_value messages[1]");
  assert.equal(after({ content: "x" }), "invalid_value messages[1].role");
  assert.equal(after({ role: "toString", content: "x" }), "invalid_value messages[1].role");
  assert.equal(after({ role: "tool", content: "x" }), "invalid_value messages[1].tool_call_id");
  assert.equal(after({ role: "tool", content: "x", tool_call_id: "a b" }), "invalid_value messages[1].tool_call_id");
  assert.equal(after({ role: "tool", tool_call_id: "1" }), "invalid_value messages[1].content");
  assert.equal(after({ role: "function", content: "x" }), "invalid_value messages[1].name");
  assert.equal(after({ role: "user", content: "x", tool_calls: [{}] }), "invalid_value messages[1].tool_calls");
  assert.equal(after({ role: "user", content: "x", audio: {} }), "unsupported_value messages[1].audio");
  assert.equal(after({ role: "user", content: null }), "invalid_value messages[1].content");
  assert.equal(after({ role: "system" }), "invalid_value messages[1].content");
  assert.equal(after({ role: "user", content: 5 }), "invalid_value messages[1].content");
  assert.equal(after({ role: "user", content: ["x"] }), "invalid_value messages[1].content[0]");
  assert.equal(after({ role: "user", content: [{ type: "text" }] }), "invalid_value messages[1].content[0].text");
  assert.equal(after({ role: "user", content: [{ text: "x" }] }), "invalid_value messages[1].content[0].type");
  for (const type of ["image_url", "input_audio", "file"]) {
    assert.equal(after({ role: "user", content: [{ type }] }), "unsupported_value messages[1].content[0].type");
  }
  const called = (call: unknown) => after({ role: "assistant", content: null, tool_calls: [call] });
  const at = "messages[1].tool_calls[0]";
  assert.equal(called(5), `invalid_value ${at}`);
  assert.equal(called({ function: { name: "f", arguments: "" } }), `invalid_value ${at}.id`);
  assert.equal(called({ id: "1" }), `invalid_value ${at}.function`);
  assert.equal(called({ id: "1", function: { name: "f" } }), `invalid_value ${at}.function.arguments`);
  assert.equal(called({ id: "1", function: { name: "f", arguments: {} } }), `invalid_value ${at}.function.arguments`);
  assert.equal(called({ id: "1", function: { name: "a b", arguments: "" } }), `invalid_value ${at}.function.name`);
  assert.equal(called({ id: "1", type: "custom", custom: {} }), `unsupported_value ${at}.type`);
  assert.equal(after({ role: "assistant", tool_calls: {} }), "invalid_value messages[1].tool_calls");
});

Deno.test("chatMessages() keeps calls, their results and what an assistant thought", () => {
  const call = { id: "call_1", type: "function", function: { name: "weather", arguments: '{"a":1}' } };
  const messages = [
    { role: "assistant", content: null, reasoning_content: "Hm", tool_calls: [call] },
    { role: "tool", tool_call_id: "call_1", content: [{ type: "text", text: "rain" }] },
    { role: "tool", tool_call_id: "call_9", content: "" },
    { role: "assistant", content: [{ type: "refusal", refusal: "No" }], reasoning: "Why" },
  ];
  assert.deepEqual(chatMessages(messages), [
    {
      role: "assistant",
      content: "",
      reasoning: "Hm",
      tool_calls: [{ id: "call_1", name: "weather", arguments: '{"a":1}' }],
    },
    // The name is the one that was called by this id.
    { role: "tool", content: "rain", tool_call_id: "call_1", name: "weather" },
    { role: "tool", content: "", tool_call_id: "call_9" },
    { role: "assistant", content: "No", reasoning: "Why" },
  ]);
});

Deno.test("chatMessages() takes functions as they were before there were tools", () => {
  const messages = [
    { role: "assistant", content: null, function_call: { name: "weather", arguments: "{}" } },
    { role: "function", name: "weather", content: "rain" },
    { role: "assistant", content: null, function_call: { name: "time", arguments: "{}" } },
  ];
  assert.deepEqual(chatMessages(messages), [
    { role: "assistant", content: "", tool_calls: [{ id: "call_0", name: "weather", arguments: "{}" }] },
    { role: "tool", content: "rain", name: "weather", tool_call_id: "call_0" },
    { role: "assistant", content: "", tool_calls: [{ id: "call_1", name: "time", arguments: "{}" }] },
  ]);
});
