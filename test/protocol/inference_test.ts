import assert from "node:assert/strict";
import fc from "fast-check";
import {
  ArkError,
  decodeGenerationParameters,
  decodeInferenceEvent,
  decodeInferenceRequest,
  decodeModelRef,
  type InferenceEvent,
  LIMITS,
} from "@ark/node/protocol";
import { almost, anyJson } from "./json_values.ts";

const REQUEST = {
  model: "llama3.1:8b",
  input: { kind: "chat", messages: [{ role: "user", content: "Hello" }, { role: "assistant", content: "" }] },
  parameters: { max_tokens: 16, temperature: 0.5, stop: ["\n"], seed: -1, top_k: 0 },
};
const COMPLETION = { model: "arkling", input: { kind: "completion", prompt: "Once" }, parameters: {} };
const EVENTS: InferenceEvent[] = [
  { type: "start", model: "llama3.1:8b", digest: "ab".repeat(32), prompt_tokens: 3 },
  { type: "text", text: "Hel", tokens: 1 },
  {
    type: "end",
    finish_reason: "length",
    usage: { prompt_tokens: 3, completion_tokens: 1 },
    timings: { queue_ms: 0, load_ms: 1.5, prompt_ms: 2, generation_ms: 3 },
  },
];

/** The decoder's value, or undefined where it threw an ArkError of that code; every other error is passed on. */
function total<T>(decode: (value: unknown) => T, { value, code }: { value: unknown; code: string }): T | undefined {
  try {
    return decode(value);
  } catch (error) {
    assert.ok(error instanceof ArkError, String(error));
    assert.equal(error.code, code);
    // deno-lint-ignore no-control-regex
    assert.match(error.message, /^[A-Z][^\u0000-\u001f\u0080-\uffff]*$/);
    return undefined;
  }
}

Deno.test("decodeInferenceRequest() reads both kinds of input, and parameters that are left out", () => {
  assert.deepEqual(decodeInferenceRequest(REQUEST), REQUEST);
  assert.deepEqual(decodeInferenceRequest(COMPLETION), COMPLETION);
  assert.deepEqual(decodeInferenceRequest({ ...COMPLETION, parameters: undefined }).parameters, {});
});

Deno.test("decodeInferenceRequest() is total, and what it accepts says exactly what was sent", () => {
  const values = fc.oneof(anyJson(), almost(REQUEST), almost(COMPLETION));
  fc.assert(
    fc.property(values, (value) => {
      const request = total(decodeInferenceRequest, { value, code: "bad_request" });
      if (request === undefined) return;
      assert.deepEqual(request, { parameters: {}, ...(value as object) });
      assert.deepEqual(decodeInferenceRequest(JSON.parse(JSON.stringify(request))), request);
    }),
    { numRuns: 2_000 },
  );
});

for (
  const [where, extra] of [
    ["request", { ...REQUEST, user: "u-1" }],
    ["request", { ...REQUEST, metadata: { session: 1 } }],
    ["request", JSON.parse(`{"model":"m","input":{"kind":"completion","prompt":""},"__proto__":{"user":1}}`)],
    ["input", { ...REQUEST, input: { ...REQUEST.input, system: "s" } }],
    ["input", { ...COMPLETION, input: { ...COMPLETION.input, messages: [] } }],
    ["messages[0]", { ...REQUEST, input: { kind: "chat", messages: [{ role: "user", content: "", user: "Ann" }] } }],
    ["parameters", { ...REQUEST, parameters: { user: "u-1" } }],
    ["parameters", { ...REQUEST, parameters: { num_ctx: 4096 } }],
    ["parameters", { ...REQUEST, parameters: JSON.parse(`{"__proto__":1}`) }],
  ] as const
) {
  Deno.test(`decodeInferenceRequest() refuses an unknown field of the ${where}: ${JSON.stringify(extra)}`, () => {
    assert.throws(() => decodeInferenceRequest(extra), {
      code: "bad_request",
      message: new RegExp(`^The ${where.replaceAll(/[[\]]/g, "\\$&")} has an unknown field: `),
    });
  });
}

Deno.test("decodeInferenceRequest() shows an unknown field's name short and printable", () => {
  const name = `\u001b[31m${"x".repeat(100)}\u202e`;
  assert.throws(() => decodeInferenceRequest({ ...REQUEST, [name]: 1 }), {
    message: `The request has an unknown field: ?[31m${"x".repeat(35)}`,
  });
});

Deno.test("decodeInferenceRequest() pollutes no prototype", () => {
  decodeInferenceRequest(REQUEST);
  const parameters = decodeGenerationParameters({ max_tokens: 1 });
  assert.equal(Object.getPrototypeOf(parameters), Object.prototype);
  assert.deepEqual(Object.keys(Object.prototype), []);
});

Deno.test("decodeInferenceRequest() keeps its limits", () => {
  const messages = (count: number) => Array(count).fill({ role: "user", content: "" });
  const chat = (count: number) => ({ ...REQUEST, input: { kind: "chat", messages: messages(count) } });
  assert.equal(decodeInferenceRequest(chat(LIMITS.messages)).model, REQUEST.model);
  for (const count of [0, LIMITS.messages + 1]) {
    assert.throws(() => decodeInferenceRequest(chat(count)), { code: "bad_request", message: /messages/ });
  }
});

Deno.test("decodeModelRef() takes printable names up to its limit", () => {
  for (const good of ["a", "llama3.1:8b", "Modell für alle", "x".repeat(LIMITS.modelRefLength), "模型:7b"]) {
    assert.equal(decodeModelRef(good), good);
  }
  const bad = [
    "",
    "x".repeat(LIMITS.modelRefLength + 1),
    "a\nb",
    "a\u0000",
    "\u001b[31m",
    "\u009b31m",
    "a\u202eb",
    "\ud800",
  ];
  for (const value of [...bad, null, undefined, 3, ["a"], {}]) {
    assert.throws(() => decodeModelRef(value), { name: "ArkError", code: "bad_request" }, JSON.stringify(value));
  }
});

Deno.test("decodeGenerationParameters() takes the ends of each range and nothing beyond", () => {
  const ranges: [string, number, number, boolean][] = [
    ["max_tokens", 1, 1_000_000, true],
    ["temperature", 0, 2, false],
    ["top_p", 0, 1, false],
    ["top_k", 0, 1_000_000, true],
    ["min_p", 0, 1, false],
    ["seed", -0x80000000, 0xffffffff, true],
    ["frequency_penalty", -2, 2, false],
    ["presence_penalty", -2, 2, false],
    ["repeat_penalty", 1, 2, false],
  ];
  for (const [name, least, most, whole] of ranges) {
    for (const value of [least, most]) {
      assert.deepEqual(decodeGenerationParameters({ [name]: value }), { [name]: value });
    }
    const half = least + 0.5;
    const refused = [least - 1, most + 1, NaN, Infinity, "1", null, true, ...(whole ? [half] : [])];
    for (const value of refused) {
      assert.throws(() => decodeGenerationParameters({ [name]: value }), {
        code: "bad_request",
        message: new RegExp(`^Field ${name} must be a (whole )?number`),
      });
    }
    if (!whole) assert.deepEqual(decodeGenerationParameters({ [name]: half }), { [name]: half });
  }
});

Deno.test("decodeGenerationParameters() takes at most 16 short stop texts, and copies them", () => {
  const stop = Array(LIMITS.stops).fill("x".repeat(LIMITS.stopLength));
  const read = decodeGenerationParameters({ stop });
  assert.deepEqual(read, { stop });
  assert.notEqual(read.stop, stop);
  for (const bad of [[...stop, "x"], [""], ["x".repeat(LIMITS.stopLength + 1)], [1], "x", {}, null]) {
    assert.throws(() => decodeGenerationParameters({ stop: bad }), { code: "bad_request", message: /stop/ });
  }
});

Deno.test("decodeInferenceEvent() reads each event, and drops what is not part of it", () => {
  for (const event of EVENTS) {
    assert.deepEqual(decodeInferenceEvent(event), event);
    assert.deepEqual(decodeInferenceEvent({ ...event, tool_calls: [{}], user: 1 }), event);
  }
});

Deno.test("decodeInferenceEvent() is total, and what it returns is an event of the type", () => {
  fc.assert(
    fc.property(fc.oneof(anyJson(), ...EVENTS.map(almost)), (value) => {
      const event = total(decodeInferenceEvent, { value, code: "unavailable" });
      if (event !== undefined) assert.deepEqual(decodeInferenceEvent(JSON.parse(JSON.stringify(event))), event);
    }),
    { numRuns: 2_000 },
  );
});

for (
  const [what, event] of [
    ["a model's name that is none", { ...EVENTS[0], model: "\u001b[2J" }],
    ["an endless model's name", { ...EVENTS[0], model: "x".repeat(1_000) }],
    ["a digest that is none", { ...EVENTS[0], digest: "abc" }],
    ["a negative count", { ...EVENTS[0], prompt_tokens: -1 }],
    ["a broken count", { ...EVENTS[1], tokens: 1.5 }],
    ["a count beyond all counting", { ...EVENTS[1], tokens: 2 ** 53 }],
    ["no text", { type: "text", tokens: 1 }],
    ["an unknown reason to finish", { ...EVENTS[2], finish_reason: "content" }],
    ["no usage", { ...EVENTS[2], usage: null }],
    ["an unknown type", { type: "tool" }],
  ] as const
) {
  Deno.test(`decodeInferenceEvent() refuses ${what}`, () => {
    assert.throws(() => decodeInferenceEvent(event), { name: "ArkError", code: "unavailable" });
  });
}

Deno.test("decodeInferenceEvent() takes no time for a time that makes no sense", () => {
  for (const timings of [null, undefined, {}, { queue_ms: -1, load_ms: "1", prompt_ms: null, generation_ms: {} }]) {
    const end = decodeInferenceEvent({ ...EVENTS[2], timings });
    assert.deepEqual(end.type === "end" && end.timings, { queue_ms: 0, load_ms: 0, prompt_ms: 0, generation_ms: 0 });
  }
});
