import assert from "node:assert/strict";
import fc from "fast-check";
import { ArkError, decodeInferenceRequest, type InferenceRequest, LIMITS, type Message } from "@ark/node/protocol";
import { RequestFault } from "../../../src/http/api/request_fault.ts";
import { KeptLookup } from "../../../src/http/responses/kept_lookup.ts";
import { responseQuestion } from "../../../src/http/responses/response_question.ts";
import { ResponseShelf } from "../../../src/http/responses/response_shelf.ts";
import { MODEL } from "../api/scripted_answers.ts";
import { anyBody, validBody } from "./random_bodies.ts";

const SCHEMA = { type: "object", properties: {}, additionalProperties: false };
const TOOL = { type: "function", name: "f", parameters: SCHEMA };

function question(fields: Record<string, unknown>) {
  return responseQuestion({ model: MODEL, input: "Hello", ...fields }, new KeptLookup(new ResponseShelf(), null));
}

function asked(fields: Record<string, unknown>): InferenceRequest {
  return question(fields).request;
}

Deno.test("responseQuestion() takes what the answer depends on, and nothing of who asks", () => {
  const request = asked({
    instructions: "Be brief",
    max_output_tokens: 9,
    temperature: 0,
    top_p: 0.5,
    seed: 7,
    user: "canary",
    metadata: { canary: "canary" },
    safety_identifier: "canary",
    prompt_cache_key: "canary",
    unheard_of: "canary",
    text: { format: { type: "json_schema", name: "s", schema: SCHEMA } },
    reasoning: { effort: "low" },
  });
  assert.deepEqual(request, {
    model: MODEL,
    input: {
      kind: "chat",
      messages: [{ role: "system", content: "Be brief" }, { role: "user", content: "Hello" }],
      think: true,
    },
    parameters: {
      max_tokens: 9,
      temperature: 0,
      top_p: 0.5,
      seed: 7,
      format: { kind: "json_schema", schema: SCHEMA },
    },
  });
});

Deno.test("responseQuestion() reads tools and which of them may be called", () => {
  const g = { ...TOOL, name: "g" };
  const named = (tool_choice: unknown, more: Record<string, unknown> = {}) => {
    const { input } = asked({ tools: [TOOL, g], tool_choice, ...more });
    assert.ok(input.kind === "chat");
    return [input.tools?.map(({ name }) => name), input.tool_choice, input.parallel_tool_calls];
  };
  assert.deepEqual(named(undefined), [["f", "g"], "auto", true]);
  assert.deepEqual(named("none"), [["f", "g"], "none", true]);
  assert.deepEqual(named("required", { parallel_tool_calls: false }), [["f", "g"], "required", false]);
  assert.deepEqual(named({ type: "function", name: "g" }), [["f", "g"], { name: "g" }, true]);
  const allowed = { type: "allowed_tools", mode: "required", tools: [{ type: "function", name: "g" }] };
  assert.deepEqual(named(allowed), [["g"], "required", true]);
  assert.deepEqual(asked({ tools: [], tool_choice: "auto" }).input, asked({}).input);
});

for (
  const [fields, fault, param] of [
    [{ model: "" }, "invalid_value", "model"],
    [{ input: null }, "invalid_value", "input"],
    [{ background: true }, "unsupported_value", "background"],
    [{ conversation: "conv_1" }, "unsupported_value", "conversation"],
    [{ prompt: { id: "p" } }, "unsupported_value", "prompt"],
    [{ context_management: [{ type: "compaction" }] }, "unsupported_value", "context_management"],
    [{ instructions: 5 }, "invalid_value", "instructions"],
    [{ previous_response_id: 5 }, "invalid_value", "previous_response_id"],
    [{ previous_response_id: "resp_1" }, "previous_response_not_found", "previous_response_id"],
    [{ max_output_tokens: 0 }, "invalid_value", "max_output_tokens"],
    [{ temperature: 3 }, "invalid_value", "temperature"],
    [{ top_logprobs: 21 }, "invalid_value", "top_logprobs"],
    [{ include: "a" }, "invalid_value", "include"],
    [{ metadata: { a: 5 } }, "invalid_value", "metadata"],
    [{ metadata: Object.fromEntries(Array.from({ length: 17 }, (_, n) => [n, ""])) }, "invalid_value", "metadata"],
    [{ store: "yes" }, "invalid_value", "store"],
    [{ stream: 1 }, "invalid_value", "stream"],
    [{ stream_options: {} }, "invalid_value", "stream_options"],
    [{ parallel_tool_calls: 1 }, "invalid_value", "parallel_tool_calls"],
    [{ reasoning: { effort: "vast" } }, "invalid_value", "reasoning.effort"],
    [{ reasoning: { summary: "vast" } }, "invalid_value", "reasoning.summary"],
    [{ truncation: "middle" }, "invalid_value", "truncation"],
    [{ text: { verbosity: "vast" } }, "invalid_value", "text.verbosity"],
    [{ text: { format: { type: "xml" } } }, "unsupported_value", "text.format.type"],
    [{ text: { format: { type: "json_schema", schema: SCHEMA } } }, "invalid_value", "text.format.name"],
    [{ text: { format: { type: "json_schema", name: "s", schema: [] } } }, "invalid_value", "text.format.schema"],
    [{ tools: {} }, "invalid_value", "tools"],
    [{ tools: [TOOL, TOOL] }, "invalid_value", "tools"],
    [{ tools: Array(LIMITS.tools + 1).fill(TOOL) }, "invalid_value", "tools"],
    [{ tools: [{ type: "web_search" }] }, "unsupported_value", "tools[0].type"],
    [{ tools: [{ ...TOOL, name: "a b" }] }, "invalid_value", "tools[0].name"],
    [{ tools: [{ ...TOOL, parameters: "x" }] }, "invalid_value", "tools[0].parameters"],
    [{ tool_choice: "required" }, "invalid_value", "tool_choice"],
    [{ tools: [TOOL], tool_choice: { type: "function", name: "g" } }, "invalid_value", "tool_choice"],
    [{ tools: [TOOL], tool_choice: { type: "file_search" } }, "unsupported_value", "tool_choice"],
    [
      { tools: [TOOL], tool_choice: { type: "allowed_tools", mode: "auto", tools: [] } },
      "invalid_value",
      "tool_choice.tools",
    ],
  ] as const
) {
  Deno.test(`responseQuestion() refuses ${JSON.stringify(fields).slice(0, 100)} and names ${param}`, () => {
    assert.throws(() => question(fields), (error) => {
      assert.ok(error instanceof RequestFault, String(error));
      assert.deepEqual([error.fault, error.param], [fault, param]);
      assert.match(error.message, /^[A-Z][^!]*[^.!]$/);
      return true;
    });
  });
}

Deno.test("responseQuestion() limits the messages of a conversation, those before the request included", () => {
  const before: Message[] = Array(LIMITS.messages - 1).fill({ role: "user", content: "a" });
  const shelf = new ResponseShelf();
  shelf.put(null, { id: "resp_1", body: "", items: "", messages: before, localOnly: false });
  const read = (more: object) =>
    responseQuestion(
      { model: MODEL, input: "Hello", previous_response_id: "resp_1", ...more },
      new KeptLookup(shelf, null),
    );
  assert.equal(read({}).messages.length, LIMITS.messages);
  assert.throws(() => read({ instructions: "a" }), RequestFault);
});

Deno.test("responseQuestion() makes of every right body a request that a peer takes as it is", () => {
  fc.assert(fc.property(validBody(MODEL), (body) => {
    const { request } = responseQuestion(body, new KeptLookup(new ResponseShelf(), null));
    assert.deepEqual(decodeInferenceRequest(structuredClone(request)), request);
  }));
});

Deno.test("responseQuestion() takes any body, or refuses it as a bad request; what it takes, a peer takes", () => {
  fc.assert(
    fc.property(anyBody(MODEL), (body) => {
      try {
        const { request } = responseQuestion(body, new KeptLookup(new ResponseShelf(), null));
        assert.deepEqual(decodeInferenceRequest(JSON.parse(JSON.stringify(request))), request);
      } catch (error) {
        if (!(error instanceof ArkError)) throw error;
        assert.equal(error.code, "bad_request");
      }
    }),
    { numRuns: 2_000 },
  );
});
