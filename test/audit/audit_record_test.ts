import assert from "node:assert/strict";
import fc from "fast-check";
import type { AuditRecord } from "@ark/node/audit";
import { unplaced } from "../../src/audit/audit_record.ts";

const RECORD: AuditRecord = { kind: "start", direction: "in", peer: "a".repeat(56) };

Deno.test("unplaced() fills in what was not said and both times", () => {
  const { at, monotonic_ms, ...rest } = unplaced(RECORD);
  assert.match(at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.equal(monotonic_ms, Math.round(monotonic_ms * 1000) / 1000);
  const unsaid = { model: null, prompt_tokens: null, completion_tokens: null, ms: null, outcome: null };
  assert.deepEqual(rest, { ...RECORD, ...unsaid, digest: null, request: null, receipt: null, count: null });
});

Deno.test("unplaced() keeps microseconds and no more", () => {
  assert.equal(unplaced({ ...RECORD, ms: 12.345678 }).ms, 12.346);
});

Deno.test("unplaced() drops fields that are none of a record", () => {
  const canary = "CANARY the prompt";
  const record = { ...RECORD, prompt: canary, messages: [canary], text: canary } as AuditRecord;
  assert.doesNotMatch(JSON.stringify(unplaced(record)), /CANARY/);
});

Deno.test("unplaced() escapes and cuts the model's name", () => {
  assert.equal(unplaced({ ...RECORD, model: "a\n\u001b[2J\u202eb" }).model, "a\\u000a\\u001b[2J\\u202eb");
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 400 }), (model) => {
    const kept = unplaced({ ...RECORD, model }).model ?? "";
    assert.ok(kept.length <= 200);
    assert.doesNotMatch(kept, /[\p{C}\p{Zl}\p{Zp}]/u);
  }));
});

const WRONG: [string, unknown][] = [
  ["kind", "prompt"],
  ["direction", "sideways"],
  ["direction", undefined],
  ["peer", "CANARY the prompt"],
  ["peer", "A".repeat(56)],
  ["peer", undefined],
  ["model", 7],
  ["outcome", "CANARY the prompt"],
  ["digest", "sha256:" + "a".repeat(64)],
  ["request", "CANARY the prompt"],
  ["receipt", "A".repeat(64)],
  ["prompt_tokens", -1],
  ["completion_tokens", 1.5],
  ["prompt_tokens", "CANARY the prompt"],
  ["ms", -0.1],
  ["ms", Infinity],
];

Deno.test("unplaced() refuses a field of another kind and does not repeat its value", () => {
  for (const [field, value] of WRONG) {
    assert.throws(() => unplaced({ ...RECORD, [field]: value } as AuditRecord), (error) => {
      assert.ok(error instanceof TypeError);
      assert.match(error.message, new RegExp(`^Cannot record: the field ${field} must be `));
      assert.doesNotMatch(error.message, /CANARY/);
      return true;
    });
  }
});
