import assert from "node:assert/strict";
import fc from "fast-check";
import { escaped } from "@ark/node/telemetry";

const UNPRINTABLE_REGEXP = /[\p{C}\p{Zl}\p{Zp}]/u;

Deno.test("escaped() leaves printable text of any language as it is", () => {
  for (const text of ["", "llama3.1:8b", "Küche", "日本語", "עברית", "🦙", 'a"b\\c']) {
    assert.equal(escaped(text, 100), text);
  }
});

Deno.test("escaped() spells out line feeds, terminal codes, direction marks and hidden characters", () => {
  assert.equal(escaped("a\r\nb", 100), "a\\u000d\\u000ab");
  assert.equal(escaped("\u001b[31mred", 100), "\\u001b[31mred");
  assert.equal(escaped("\u202eexe.txt", 100), "\\u202eexe.txt");
  assert.equal(escaped("a\u200bb\u2028c", 100), "a\\u200bb\\u2028c");
  assert.equal(escaped("\ud800", 100), "\\ud800");
  assert.equal(escaped("\u{e0001}", 100), "\\udb40\\udc01");
});

Deno.test("escaped() cuts with an ellipsis and never through an escape or a character", () => {
  assert.equal(escaped("abcdef", 6), "abcdef");
  assert.equal(escaped("abcdef", 5), "abcd…");
  assert.equal(escaped("ab\n\n", 6), "ab…");
  assert.equal(escaped("ab🦙🦙", 4), "ab…");
});

Deno.test("escaped() gives bounded printable text for any text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 80 }), fc.integer({ min: 1, max: 60 }), (text, limit) => {
      const safe = escaped(text, limit);
      assert.ok(safe.length <= limit);
      assert.doesNotMatch(safe, UNPRINTABLE_REGEXP);
    }),
    { numRuns: 5_000 },
  );
});
