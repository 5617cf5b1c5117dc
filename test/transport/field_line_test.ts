import assert from "node:assert/strict";
import fc from "fast-check";
import { fieldOf } from "../../src/transport/field_line.ts";

for (
  const [line, expected] of [
    ["A: b", ["A", "b"]],
    ["a:b", ["a", "b"]],
    ["a: \t b c\t ", ["a", "b c"]],
    ["a:", ["a", ""]],
    ["a: \t ", ["a", ""]],
    ["!#$%&'*+.^_`|~-9: ~", ["!#$%&'*+.^_`|~-9", "~"]],
    ["a:b:c", ["a", "b:c"]],
    ["", null],
    [":b", null],
    ["a", null],
    ["a b: c", null],
    ["a : c", null],
    [" a: c", null],
    ["a: \0", null],
    ["a: b\nc", null],
    ["a: b\r", null],
    ["a: b\n", null],
    ["a: \x7f", null],
    ["a: \xe9", null],
    ["\xe9: a", null],
  ] as const
) {
  Deno.test(`fieldOf() makes ${JSON.stringify(expected)} of ${JSON.stringify(line)}`, () => {
    const field = fieldOf(line);
    assert.deepEqual(field === null ? null : [field.name, field.value], expected);
  });
}

Deno.test("fieldOf() lets characters beyond ASCII pass where they are allowed, and takes none of them for a space", () => {
  assert.deepEqual(fieldOf("a: \xa0\xe9\xa0 ", { latin1: true }), { name: "a", value: "\xa0\xe9\xa0" });
  assert.equal(fieldOf("a: \x7f", { latin1: true }), null);
  assert.equal(fieldOf("a: \u0100", { latin1: true }), null);
});

Deno.test("fieldOf() gives a value back that has no space at its ends", () => {
  const visible = fc.string({ unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)) });
  const blank = fc.string({ unit: fc.constantFrom(" ", "\t") });
  fc.assert(fc.property(visible, blank, blank, (value, before, behind) => {
    assert.deepEqual(fieldOf(`name:${before}${value}${behind}`), { name: "name", value });
  }));
});

Deno.test("fieldOf() takes no more looks at a line of spaces that ends badly than at any other", () => {
  // In square time this many would take hours, and the test would never end.
  const spaces = " ".repeat(16 << 20);
  assert.equal(fieldOf(`a:${spaces}\0`), null);
  assert.equal(fieldOf(`a:${spaces}\0`, { latin1: true }), null);
  assert.equal(fieldOf(`a:b${spaces}c${spaces}`)?.value.length, spaces.length + 2);
});
