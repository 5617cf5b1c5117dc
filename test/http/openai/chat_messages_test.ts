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
  assert.equal(after({ role: "tool", content: "x", tool_call_id: "1" }), "unsupported_value messages[1].role");
  assert.equal(after({ role: "function", content: "x", name: "f" }), "unsupported_value messages[1].role");
  assert.equal(after({ role: "user", content: null }), "invalid_value messages[1].content");
  assert.equal(after({ role: "system" }), "invalid_value messages[1].content");
  assert.equal(after({ role: "user", content: 5 }), "invalid_value messages[1].content");
  assert.equal(after({ role: "user", content: ["x"] }), "invalid_value messages[1].content[0]");
  assert.equal(after({ role: "user", content: [{ type: "text" }] }), "invalid_value messages[1].content[0].text");
  assert.equal(after({ role: "user", content: [{ text: "x" }] }), "invalid_value messages[1].content[0].type");
  for (const type of ["image_url", "input_audio", "file", "refusal"]) {
    assert.equal(after({ role: "user", content: [{ type }] }), "unsupported_value messages[1].content[0].type");
  }
  const called = { role: "assistant", content: null, tool_calls: [{ id: "1" }] };
  assert.equal(after(called), "unsupported_value messages[1].tool_calls");
});
