import assert from "node:assert/strict";
import fc from "fast-check";
import type { Message } from "@ark/node/protocol";
import { RequestFault } from "../../../src/http/api/request_fault.ts";
import { contextOf, conversationOf } from "../../../src/http/ollama/conversation.ts";

const ROLE = fc.constantFrom<"system" | "user" | "assistant">("system", "user", "assistant");
const MESSAGE: fc.Arbitrary<Message> = fc.record(
  { role: ROLE, content: fc.string({ unit: "grapheme" }) },
  { noNullPrototype: true },
);

Deno.test("conversationOf() gives back what contextOf() was given, through JSON", () => {
  fc.assert(fc.property(fc.array(MESSAGE), (messages) => {
    const context = contextOf(messages);
    assert.ok(
      context !== null && context.every((number) => Number.isInteger(number) && number >= 0 && number < 2 ** 31),
    );
    assert.deepEqual(conversationOf(JSON.parse(JSON.stringify(context))), messages);
  }));
});

Deno.test("conversationOf() takes nothing else, and an empty list for no conversation", () => {
  assert.deepEqual(conversationOf([]), []);
  const context = contextOf([{ role: "user", content: "Hello" }]) ?? assert.fail();
  const wrong: unknown[] = [
    "text",
    { length: 0 },
    [1, 2, 3],
    [128_000, 128_006, 882],
    context.slice(1),
    context.with(0, 5),
    context.slice(0, -1),
    [...context, 0],
    context.with(1, 10_000),
    context.with(2, -1),
    context.with(2, 0.5),
    context.with(3, 0x7fffffff),
    context.with(2, 0xffffff),
    contextOf([{ role: "tool", content: "x" }]),
  ];
  assert.equal(contextOf([{ role: "user", content: "x".repeat(200_000) }]), null);
  for (const value of wrong) assert.throws(() => conversationOf(value), RequestFault, JSON.stringify(value));
  fc.assert(fc.property(fc.anything(), (value) => {
    try {
      conversationOf(value);
    } catch (error) {
      assert.ok(error instanceof RequestFault);
    }
  }));
});
