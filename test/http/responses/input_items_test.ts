import assert from "node:assert/strict";
import { LIMITS, type Message } from "@ark/node/protocol";
import { RequestFault } from "../../../src/http/api/request_fault.ts";
import { readInput } from "../../../src/http/responses/input_items.ts";

const CALL = { type: "function_call", call_id: "call_a", name: "weather", arguments: '{"city":"Köln"}' };
const CALLED = { id: "call_a", name: "weather", arguments: '{"city":"Köln"}' };
const OUTPUT = { type: "function_call_output", call_id: "call_a", output: "sunny" };
const TOLD: Message = { role: "tool", content: "sunny", tool_call_id: "call_a", name: "weather" };

Deno.test("readInput() reads a text as what the user says", () => {
  assert.deepEqual(readInput("Hello"), {
    items: [{
      type: "message",
      role: "user",
      status: "completed",
      content: [{ type: "input_text", text: "Hello" }],
    }],
    messages: [{ role: "user", content: "Hello" }],
  });
});

for (
  const [name, input, messages] of [
    ["messages with and without a type, with texts and parts", [
      { role: "developer", content: "Be brief" },
      {
        type: "message",
        role: "user",
        content: [{ type: "input_text", text: "a" }, { type: "input_text", text: "b" }],
      },
      {
        type: "message",
        id: "msg_1",
        status: "completed",
        role: "assistant",
        content: [{ type: "output_text", text: "c" }],
      },
      { role: "user", content: "" },
    ], [
      { role: "system", content: "Be brief" },
      { role: "user", content: "a\nb" },
      { role: "assistant", content: "c" },
      { role: "user", content: "" },
    ]],
    ["thoughts, words and calls of one turn as one message", [
      { role: "user", content: "a" },
      { type: "reasoning", id: "rs_1", summary: [], content: [{ type: "reasoning_text", text: "Hm" }] },
      { role: "assistant", content: [{ type: "output_text", text: "I look", annotations: [] }] },
      CALL,
      { ...CALL, call_id: "call_b" },
      OUTPUT,
      { ...OUTPUT, call_id: "call_b", output: [{ type: "input_text", text: "rain" }] },
      { role: "assistant", content: "It is sunny" },
    ], [
      { role: "user", content: "a" },
      { role: "assistant", content: "I look", reasoning: "Hm", tool_calls: [CALLED, { ...CALLED, id: "call_b" }] },
      TOLD,
      { ...TOLD, tool_call_id: "call_b", content: "rain" },
      { role: "assistant", content: "It is sunny" },
    ]],
    ["a call without a word before it", [{ role: "user", content: "a" }, CALL, OUTPUT], [
      { role: "user", content: "a" },
      { role: "assistant", content: "", tool_calls: [CALLED] },
      TOLD,
    ]],
    ["a summary where the thoughts are not told, and nothing of what is encrypted", [
      { type: "reasoning", id: "rs_1", summary: [{ type: "summary_text", text: "Hm" }], encrypted_content: "abc" },
      { role: "assistant", content: "a" },
      { type: "reasoning", id: "rs_2", summary: [], encrypted_content: "abc" },
      { role: "user", content: "b" },
    ], [{ role: "assistant", content: "a", reasoning: "Hm" }, { role: "user", content: "b" }]],
    ["two things that the assistant said one after the other", [
      { role: "assistant", content: "a" },
      { role: "assistant", content: "b" },
      { role: "user", content: "c" },
    ], [{ role: "assistant", content: "a" }, { role: "assistant", content: "b" }, { role: "user", content: "c" }]],
  ] as [string, unknown[], Message[]][]
) {
  Deno.test(`readInput() reads ${name}`, () => assert.deepEqual(readInput(input).messages, messages));
}

Deno.test("readInput() takes the output of a call that was made before", () => {
  const before: Message[] = [{ role: "assistant", content: "", tool_calls: [CALLED] }];
  assert.deepEqual(readInput([OUTPUT], { before, item: () => undefined }).messages, [TOLD]);
});

for (
  const [input, fault, param] of [
    [undefined, "invalid_value", "input"],
    [[], "invalid_value", "input"],
    [{}, "invalid_value", "input"],
    [[1], "invalid_value", "input[0]"],
    [[{ role: "robot", content: "a" }], "invalid_value", "input[0].role"],
    [[{ role: "user" }], "invalid_value", "input[0].content"],
    [[{ role: "user", content: [{ type: "input_text" }] }], "invalid_value", "input[0].content[0].text"],
    [[{ role: "user", content: [{ text: "a" }] }], "invalid_value", "input[0].content[0].type"],
    [
      [{ role: "user", content: [{ type: "input_image", image_url: "x" }] }],
      "unsupported_value",
      "input[0].content[0].type",
    ],
    [
      [{ role: "user", content: [{ type: "input_file", file_id: "x" }] }],
      "unsupported_value",
      "input[0].content[0].type",
    ],
    [[{ type: 5 }], "invalid_value", "input[0].type"],
    [[{ type: "item_reference", id: "msg_1" }], "invalid_value", "input[0].id"],
    [[{ id: "msg_1" }], "invalid_value", "input[0].id"],
    [[{ type: "item_reference" }], "invalid_value", "input[0].id"],
    [[{ type: "web_search_call" }], "unsupported_value", "input[0].type"],
    [[OUTPUT], "invalid_value", "input[0].call_id"],
    [[CALL, { ...OUTPUT, output: 5 }], "invalid_value", "input[1].output"],
    [[{ ...CALL, call_id: "a b" }], "invalid_value", "input[0].call_id"],
    [[{ ...CALL, name: "a b" }], "invalid_value", "input[0].name"],
    [[{ ...CALL, arguments: {} }], "invalid_value", "input[0].arguments"],
    [[{ type: "reasoning", content: [{ type: "text", text: "a" }] }], "invalid_value", "input[0].content[0]"],
    [[{ type: "reasoning", summary: [] }], "invalid_value", "input"],
    [Array(LIMITS.messages + 1).fill({ role: "user", content: "a" }), "invalid_value", "input"],
    [
      Array.from({ length: LIMITS.toolCalls + 1 }, (_, n) => ({ ...CALL, call_id: `c${n}` })),
      "invalid_value",
      "input[128]",
    ],
  ] as const
) {
  Deno.test(`readInput() refuses ${JSON.stringify(input)?.slice(0, 100)} and names ${param}`, () => {
    assert.throws(() => readInput(input), (error) => {
      assert.ok(error instanceof RequestFault);
      assert.deepEqual([error.fault, error.param], [fault, param]);
      return true;
    });
  });
}
