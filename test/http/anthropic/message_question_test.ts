import assert from "node:assert/strict";
import fc from "fast-check";
import { ArkError, decodeInferenceRequest, type InferenceRequest, LIMITS, type Message } from "@ark/node/protocol";
import { ThreadError } from "../../../src/http/anthropic/error_answer.ts";
import { countQuestion, messageQuestion } from "../../../src/http/anthropic/message_question.ts";
import { RequestFault } from "../../../src/http/api/request_fault.ts";
import { MODEL } from "../api/scripted_answers.ts";
import { failureOf, QUESTION } from "./asking.ts";
import { errorAnswer } from "../../../src/http/anthropic/error_answer.ts";
import { anyBody, validBody } from "./random_bodies.ts";

const TOOL = { name: "f", input_schema: { type: "object" } };
const USE = { type: "tool_use", id: "toolu_1", name: "f", input: { a: [1, { b: null }] } };
const RESULT = { type: "tool_result", tool_use_id: "toolu_1", content: "sunny" };

function asked(fields: Record<string, unknown>): InferenceRequest {
  return messageQuestion({ ...QUESTION, ...fields }).request;
}

function messagesOf(messages: unknown[], system?: unknown): Message[] {
  const { input } = asked({ messages, system });
  assert.ok(input.kind === "chat");
  return input.messages;
}

Deno.test("messageQuestion() takes what the answer depends on, and nothing of who asks", () => {
  const schema = { type: "object", properties: {} };
  const fields = {
    system: [{ type: "text", text: "Be brief", cache_control: { type: "ephemeral" } }, {
      type: "text",
      text: "Be kind",
    }],
    stop_sequences: ["###"],
    temperature: 0,
    top_p: 0.5,
    top_k: 40,
    metadata: { user_id: "canary" },
    thinking: { type: "enabled", budget_tokens: 2_000 },
    output_config: { effort: "low", format: { type: "json_schema", schema } },
    unheard_of: "canary",
  };
  assert.deepEqual(asked(fields), {
    model: MODEL,
    input: {
      kind: "chat",
      messages: [{ role: "system", content: "Be brief\nBe kind" }, { role: "user", content: "Hello" }],
      think: true,
    },
    parameters: {
      max_tokens: 64,
      stop: ["###"],
      temperature: 0,
      top_p: 0.5,
      top_k: 40,
      format: { kind: "json_schema", schema },
    },
  });
  const counted = countQuestion({ ...QUESTION, ...fields });
  assert.deepEqual(counted.request, { ...asked(fields), parameters: {} });
});

Deno.test("messageQuestion() leaves it to the model whether it thinks, unless it is told", () => {
  const think = (thinking: unknown) => {
    const { input } = asked({ thinking });
    return input.kind === "chat" ? input.think : assert.fail();
  };
  assert.deepEqual([undefined, { type: "disabled" }, { type: "adaptive" }].map(think), [undefined, false, undefined]);
});

for (
  const [name, messages, read] of [
    ["turns of one speaker as one", [
      { role: "user", content: "a" },
      { role: "user", content: [{ type: "text", text: "b" }, { type: "text", text: "c" }] },
      { role: "assistant", content: "d" },
      {
        role: "assistant",
        content: [{ type: "thinking", thinking: "Hm", signature: "" }, { type: "text", text: "e" }],
      },
    ], [{ role: "user", content: "a\nb\nc" }, { role: "assistant", content: "d\ne", reasoning: "Hm" }]],
    ["calls and their results, and what is said with them", [
      { role: "user", content: "a" },
      { role: "assistant", content: [{ type: "text", text: "b" }, USE, { ...USE, id: "toolu_2", input: {} }] },
      {
        role: "user",
        content: [
          { ...RESULT, content: [{ type: "text", text: "sun" }, { type: "text", text: "ny" }] },
          { ...RESULT, tool_use_id: "toolu_2", is_error: true },
          { type: "text", text: "c" },
        ],
      },
      { role: "assistant", content: "d" },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_2" }] },
    ], [
      { role: "user", content: "a" },
      {
        role: "assistant",
        content: "b",
        tool_calls: [
          { id: "toolu_1", name: "f", arguments: '{"a":[1,{"b":null}]}' },
          { id: "toolu_2", name: "f", arguments: "{}" },
        ],
      },
      { role: "tool", content: "sun\nny", tool_call_id: "toolu_1", name: "f" },
      { role: "tool", content: "Error: sunny", tool_call_id: "toolu_2", name: "f" },
      { role: "user", content: "c" },
      { role: "assistant", content: "d" },
      { role: "tool", content: "", tool_call_id: "toolu_2", name: "f" },
    ]],
    ["the begin of an answer that is to be gone on with", [
      { role: "user", content: "a" },
      { role: "assistant", content: [{ type: "redacted_thinking", data: "x" }, { type: "text", text: "{" }] },
    ], [{ role: "user", content: "a" }, { role: "assistant", content: "{" }]],
    ["what the system says in between", [{ role: "user", content: "a" }, { role: "system", content: "b" }], [
      { role: "user", content: "a" },
      { role: "system", content: "b" },
    ]],
  ] as [string, unknown[], Message[]][]
) {
  Deno.test(`messageQuestion() reads ${name}`, () => assert.deepEqual(messagesOf(messages), read));
}

Deno.test("messageQuestion() reads tools and which of them may be called", () => {
  const read = (tool_choice: unknown) => {
    const { input } = asked({ tools: [TOOL], ...tool_choice === undefined ? {} : { tool_choice } });
    return input.kind === "chat" ? [input.tool_choice, input.parallel_tool_calls] : assert.fail();
  };
  assert.deepEqual(read(undefined), ["auto", true]);
  assert.deepEqual(read({ type: "any", disable_parallel_tool_use: true }), ["required", false]);
  assert.deepEqual(read({ type: "tool", name: "f" }), [{ name: "f" }, true]);
  assert.deepEqual(read({ type: "none" }), ["none", true]);
  const { input } = asked({ tools: [{ ...TOOL, type: "custom", description: "d", strict: true }] });
  assert.deepEqual(input.kind === "chat" && input.tools, [{
    name: "f",
    description: "d",
    parameters: { type: "object" },
  }]);
});

const user = (content: unknown) => ({ messages: [{ role: "user", content }] });
const spoke = (...blocks: unknown[]) => ({ messages: [{ role: "assistant", content: blocks }] });
let deep: unknown = {};
for (let level = 0; level < 10_000; level++) deep = { a: deep };

for (
  const [fields, fault, param] of [
    [{ model: 5 }, "invalid_value", "model"],
    [{ max_tokens: null }, "invalid_value", "max_tokens"],
    [{ max_tokens: 0 }, "invalid_value", "max_tokens"],
    [{ messages: [] }, "invalid_value", "messages"],
    [{ messages: Array(LIMITS.messages + 1).fill({ role: "user", content: "a" }) }, "invalid_value", "messages"],
    [{ messages: [{ role: "robot", content: "a" }] }, "invalid_value", "messages[0].role"],
    [user([]), "invalid_value", "messages[0].content"],
    [user([{ type: "text" }]), "invalid_value", "messages[0].content[0].text"],
    [user([{ text: "a" }]), "invalid_value", "messages[0].content[0].type"],
    [user([{ type: "image", source: {} }]), "unsupported_value", "messages[0].content[0].type"],
    [user([{ type: "document", source: {} }]), "unsupported_value", "messages[0].content[0].type"],
    [user([{ type: "search_result" }]), "unsupported_value", "messages[0].content[0].type"],
    [user([RESULT]), "invalid_value", "messages[0].content[0].tool_use_id"],
    [spoke({ ...USE, id: "" }), "invalid_value", "messages[0].content[0].id"],
    [spoke({ ...USE, name: "a b" }), "invalid_value", "messages[0].content[0].name"],
    [spoke({ ...USE, input: "{}" }), "invalid_value", "messages[0].content[0].input"],
    [spoke({ ...USE, input: deep }), "invalid_value", "messages[0].content[0].input"],
    [spoke({ type: "server_tool_use" }), "unsupported_value", "messages[0].content[0].type"],
    [
      { messages: [...spoke(USE).messages, ...user([{ ...RESULT, content: [{ type: "image" }] }]).messages] },
      "unsupported_value",
      "messages[1].content[0].content[0].type",
    ],
    [
      { messages: [...spoke(USE).messages, ...user([{ ...RESULT, is_error: 1 }]).messages] },
      "invalid_value",
      "messages[1].content[0].is_error",
    ],
    [{ system: 5 }, "invalid_value", "system"],
    [{ system: [{ type: "image" }] }, "unsupported_value", "system[0].type"],
    [{ stop_sequences: "###" }, "invalid_value", "stop_sequences"],
    [{ temperature: 3 }, "invalid_value", "temperature"],
    [{ top_k: -1 }, "invalid_value", "top_k"],
    [{ stream: "yes" }, "invalid_value", "stream"],
    [{ metadata: "me" }, "invalid_value", "metadata"],
    [{ thinking: { type: "vast" } }, "invalid_value", "thinking.type"],
    [{ thinking: { type: "enabled" } }, "invalid_value", "thinking.budget_tokens"],
    [{ output_config: 5 }, "invalid_value", "output_config"],
    [{ output_config: { format: { type: "xml" } } }, "invalid_value", "output_config.format.type"],
    [{ output_format: { type: "json_schema", schema: 5 } }, "invalid_value", "output_format.schema"],
    [{ container: "c" }, "unsupported_value", "container"],
    [{ compaction: { type: "summarize" } }, "unsupported_value", "compaction"],
    [{ mcp_servers: [{ url: "x" }] }, "unsupported_value", "mcp_servers"],
    [{ tools: [{ type: "web_search_20250305", name: "web_search" }] }, "unsupported_value", "tools[0].type"],
    [{ tools: [{ ...TOOL, input_schema: {} }] }, "invalid_value", "tools[0].input_schema.type"],
    [{ tools: [{ name: "f" }] }, "invalid_value", "tools[0].input_schema"],
    [{ tools: [TOOL, TOOL] }, "invalid_value", "tools"],
    [{ tool_choice: { type: "any" } }, "invalid_value", "tool_choice"],
    [{ tool_choice: "auto" }, "invalid_value", "tool_choice"],
    [{ tools: [TOOL], tool_choice: { type: "tool", name: "g" } }, "invalid_value", "tool_choice"],
    [{ tools: [TOOL], tool_choice: { type: "each" } }, "invalid_value", "tool_choice.type"],
  ] as const
) {
  const shown = JSON.stringify(fields, (key, value) => key === "a" ? "…" : value).slice(0, 90);
  Deno.test(`messageQuestion() refuses ${shown} and names ${param}`, () => {
    assert.throws(() => asked(fields), (error) => {
      assert.ok(error instanceof RequestFault, String(error));
      assert.deepEqual([error.fault, error.param], [fault, param]);
      assert.match(error.message, /^[A-Z][^!]*[^.!]$/);
      return true;
    });
  });
}

Deno.test("messageQuestion() refuses a thread in the words that make Anthropic's client send everything", async () => {
  for (const thread of [{ type: "create" }, { type: "continue", previous_message_id: "msg_1" }]) {
    let thrown: unknown;
    try {
      asked({ thread });
    } catch (error) {
      thrown = error;
    }
    assert.ok(thrown instanceof ThreadError);
    const { details } = await failureOf(errorAnswer(thrown, { id: `req_${"0".repeat(32)}` }), 400);
    assert.deepEqual(details, { error_code: "thread_unsupported_request", unsupported: ["thread"] });
  }
});

Deno.test("messageQuestion() makes of every right body a request that a peer takes as it is", () => {
  fc.assert(fc.property(validBody(MODEL), (body) => {
    const { request } = messageQuestion(body);
    assert.deepEqual(decodeInferenceRequest(structuredClone(request)), request);
  }));
});

Deno.test("messageQuestion() takes any body, or refuses it as a bad request; what it takes, a peer takes", () => {
  fc.assert(
    fc.property(anyBody(MODEL), (body) => {
      try {
        const { request } = messageQuestion(body);
        assert.deepEqual(decodeInferenceRequest(JSON.parse(JSON.stringify(request))), request);
      } catch (error) {
        if (!(error instanceof ArkError)) throw error;
        assert.equal(error.code, "bad_request");
      }
    }),
    { numRuns: 2_000 },
  );
});
