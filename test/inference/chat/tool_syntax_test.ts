import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import type { Tool } from "@ark/node/protocol";
import { GbnfSampler } from "../grammar/gbnf_sampler.ts";
import { random } from "../grammar/random.ts";
import { asked, lettersBuilder, readAnswer, tokensOf, WEATHER } from "./letters.ts";
import { FAMILIES } from "./templates.ts";

const CITIES = [{ city: "Oslo" }, { city: "Rome" }];

function parsedCalls(calls: { name: string; arguments: string }[]) {
  return calls.map((call) => ({ name: call.name, arguments: JSON.parse(call.arguments) }));
}

for (const [name, family] of Object.entries(FAMILIES)) {
  const builder = lettersBuilder(family.template, family.control);
  const tokens = tokensOf(family.answer, family.control);

  Deno.test(`Calls, text and thoughts are told apart: ${name}`, () => {
    const read = readAnswer(builder.prepare(asked(), {}), tokens);
    assert.deepEqual(parsedCalls(read.calls), CITIES.map((city) => ({ name: "weather", arguments: city })));
    assert.equal(read.text, family.text ?? "");
    assert.equal(read.reasoning, family.reasoning ?? "");
    assert.equal(read.finish, "tool_calls");
    const told = read.parts.reduce((sum, part) => sum + ("tokens" in part ? part.tokens : 0), 0);
    assert.ok(told <= tokens.length);
    const ids = read.parts.flatMap((part) => part.type === "tool_call" ? [part.id] : []);
    assert.equal(new Set(ids).size, 2);
    for (const id of ids) assert.match(id, /^call_[0-9a-f]{24}$/);
    // A call is told before its arguments are there, and they come in pieces.
    const call = read.parts.findIndex((part) => part.type === "tool_call");
    const after = read.parts[call + 1];
    assert.ok(after?.type === "tool_arguments" && after.index === 0);
    assert.ok(after.text.length < '{"city": "Oslo"}'.length || /Qwen 3|GLM|Seed/.test(name), after.text);
  });

  Deno.test(`Only one call is made where only one is wanted: ${name}`, () => {
    const read = readAnswer(builder.prepare(asked({ parallel_tool_calls: false }), {}), tokens);
    assert.deepEqual(parsedCalls(read.calls), [{ name: "weather", arguments: CITIES[0] }]);
    assert.ok(read.stopped);
    assert.equal(read.finish, "tool_calls");
  });

  Deno.test(`What is no call becomes text, and nothing is lost: ${name}`, () => {
    const unknown = family.answer.replaceAll("weather", "whether");
    const read = readAnswer(builder.prepare(asked(), {}), tokensOf(unknown, family.control));
    assert.equal(read.calls.length, 0);
    assert.equal(read.finish, "stop");
    assert.ok(read.text.includes("Oslo") && read.text.includes("Rome"), read.text);
    // And without functions nothing is looked for.
    const without = readAnswer(builder.prepare({ kind: "chat", messages: asked().messages }, {}), tokens);
    assert.equal(without.calls.length, 0);
    assert.ok(without.text.includes("Oslo"));
  });

  Deno.test(`However an answer is cut off or broken, nothing fails: ${name}`, () => {
    const prepared = builder.prepare(asked(), {});
    const piece = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.nat(tokens.length).chain((at) => fc.nat(20).map((length) => tokens.slice(at, at + length))),
      },
      { weight: 1, arbitrary: fc.string({ maxLength: 5 }).map((text) => tokensOf(text, [])) },
      { weight: 1, arbitrary: fc.constantFrom(...'{}[]",:').map((text) => tokensOf(text, [])) },
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const read = readAnswer(prepared, pieces.flat());
        for (const call of read.calls) assert.equal(call.name, "weather");
      }),
      { numRuns: 300 },
    );
    for (let length = 0; length < tokens.length; length++) readAnswer(prepared, tokens.slice(0, length));
  });

  Deno.test(`A grammar for a call that must be made leads to one: ${name}`, () => {
    const tools: Tool[] = [WEATHER, {
      name: "book.flight-2",
      parameters: {
        type: "object",
        properties: {
          from: { type: "string", enum: ["Oslo", "Bergen"] },
          days: { type: "integer", minimum: 1, maximum: 30 },
          seats: { type: "array", items: { type: "string", maxLength: 3 }, minItems: 1 },
        },
        required: ["from", "days"],
        additionalProperties: false,
      },
    }, { name: "now" }];
    const ajv = new Ajv2020({ strict: false });
    for (const tool_choice of ["required" as const, { name: "book.flight-2" }]) {
      const prepared = builder.prepare(asked({ tools, tool_choice }), {});
      assert.equal(prepared.grammar?.triggers, null);
      const sampler = new GbnfSampler(prepared.grammar?.gbnf ?? "");
      fc.assert(
        fc.property(fc.integer(), (seed) => {
          const written = sampler.sample(random(seed));
          const read = readAnswer(prepared, tokensOf(written, family.control));
          assert.ok(read.calls.length > 0, written);
          assert.equal(read.text.trim(), "", written);
          for (const call of read.calls) {
            const tool = tools.find(({ name }) => name === call.name) ?? assert.fail(call.name);
            if (typeof tool_choice === "object") assert.equal(call.name, tool_choice.name);
            const validate = ajv.compile(tool.parameters ?? { type: "object", maxProperties: 0 });
            assert.ok(validate(JSON.parse(call.arguments)), `${written}: ${ajv.errorsText(validate.errors)}`);
          }
        }),
        { numRuns: 60 },
      );
    }
  });

  Deno.test(`A grammar for calls that may be made begins with what begins a call: ${name}`, () => {
    const prepared = builder.prepare(asked(), {});
    const { gbnf, triggers } = prepared.grammar ?? assert.fail();
    assert.ok(triggers !== null && triggers.length > 0);
    const sampler = new GbnfSampler(gbnf);
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const written = sampler.sample(random(seed));
        const compact = written.replaceAll(/\s/g, "");
        // Where the model is free it may write more space than the trigger has; the grammar allows what the trigger is.
        assert.ok(triggers.some((trigger) => compact.startsWith(trigger.replaceAll(/\s/g, ""))), written);
      }),
      { numRuns: 40 },
    );
  });
}

Deno.test("With a format and functions, the model writes one or the other", () => {
  for (const [name, { template, control }] of Object.entries(FAMILIES)) {
    const schema = { type: "object", properties: { done: { type: "boolean" } }, required: ["done"] };
    const prepared = lettersBuilder(template, control).prepare(asked(), { format: { kind: "json_schema", schema } });
    assert.equal(prepared.grammar?.triggers, null);
    const sampler = new GbnfSampler(prepared.grammar?.gbnf ?? "");
    const kinds = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      const read = readAnswer(prepared, tokensOf(sampler.sample(random(seed)), control));
      kinds.add(read.calls.length > 0 ? "calls" : "value");
      if (read.calls.length === 0) assert.deepEqual(Object.keys(JSON.parse(read.text)), ["done"], name);
    }
    assert.equal(kinds.size, 2, name);
  }
});

Deno.test("A function whose schema no grammar can keep to may be called all the same", () => {
  const tools: Tool[] = [{ name: "odd", parameters: { type: "object", not: { required: ["a"] } } }];
  const { template, control } = FAMILIES["Hermes and Qwen"] ?? assert.fail();
  const builder = lettersBuilder(template, control);
  const sampler = new GbnfSampler(builder.prepare(asked({ tools, tool_choice: "required" }), {}).grammar?.gbnf ?? "");
  assert.match(sampler.sample(random(1)), /"odd"/);
});

Deno.test("Requests that contradict themselves are refused", () => {
  const { template, control } = FAMILIES["Hermes and Qwen"] ?? assert.fail();
  const builder = lettersBuilder(template, control);
  assert.throws(() => builder.prepare(asked({ tool_choice: { name: "other" } }), {}), { code: "bad_request" });
  assert.throws(() => builder.prepare(asked(), { format: { kind: "grammar", grammar: 'root ::= "a"' } }), {
    code: "bad_request",
  });
});

Deno.test("An answer that is JSON but no call is text at once, and a call may have its name in other places", () => {
  const { template, control } = FAMILIES["Llama 3"] ?? assert.fail();
  const prepared = lettersBuilder(template, control).prepare(asked(), {});
  const writer = readAnswer(prepared, tokensOf('{"answer": 42, "more": "and so on"}', control));
  assert.equal(writer.text, '{"answer": 42, "more": "and so on"}');
  assert.ok(writer.parts.length > 10);
  for (
    const call of [
      '{"function": "weather", "parameters": {"city": "Oslo"}}',
      '{"type": "function", "id": 1, "arguments": {"city": "Oslo"}, "name": "weather"}',
      '{ "name" : "weather" , "arguments" : "{\\"city\\": \\"Oslo\\"}" }',
    ]
  ) {
    const read = readAnswer(prepared, tokensOf(call, control));
    assert.deepEqual(parsedCalls(read.calls), [{ name: "weather", arguments: CITIES[0] }], call);
  }
  for (
    const empty of [
      '{"name": "weather"}',
      '{"name": "weather", "arguments": null}',
      '{"name": "weather", "arguments": {}}',
    ]
  ) {
    const read = readAnswer(prepared, tokensOf(empty, control));
    assert.deepEqual(parsedCalls(read.calls), [{ name: "weather", arguments: {} }], empty);
  }
});
