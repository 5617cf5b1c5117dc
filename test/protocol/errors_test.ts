import assert from "node:assert/strict";
import fc from "fast-check";
import { ArkError, ERROR_CODES, isErrorCode, toArkError } from "@ark/node/protocol";

Deno.test("ERROR_CODES is a closed table that no release changes without a word", () => {
  assert.deepEqual([...ERROR_CODES].sort(), [
    "audit_unavailable",
    "bad_request",
    "busy",
    "cancelled",
    "clock",
    "context_exceeded",
    "engine_failed",
    "forbidden",
    "internal",
    "model_not_found",
    "model_not_shared",
    "replay",
    "revoked",
    "too_large",
    "unauthenticated",
    "unavailable",
  ]);
});

Deno.test("isErrorCode() knows the codes of the table and nothing else", () => {
  for (const code of ERROR_CODES) assert.ok(isErrorCode(code));
  for (const other of ["", "Busy", "busy ", "ark_busy", "toString", "length", "0", 0, null, undefined, ["busy"]]) {
    assert.ok(!isErrorCode(other), String(other));
  }
});

Deno.test("ArkError keeps its code, cause and time to wait", () => {
  const cause = new Error("why");
  const error = new ArkError("busy", "Try again later", { cause, retryAfterSeconds: 3 });
  assert.ok(error instanceof Error);
  assert.deepEqual(
    [error.name, error.code, error.message, error.cause, error.retryAfterSeconds],
    ["ArkError", "busy", "Try again later", cause, 3],
  );
  assert.equal(new ArkError("busy", "Try again later").retryAfterSeconds, undefined);
});

Deno.test("toArkError() keeps an ArkError, tells an abort from a fault, and never quotes what was thrown", () => {
  const known = new ArkError("busy", "Try again later");
  assert.equal(toArkError(known), known);
  assert.equal(toArkError(AbortSignal.abort().reason).code, "cancelled");
  assert.equal(toArkError(new DOMException("late", "TimeoutError")).code, "cancelled");
  assert.equal(toArkError(new DOMException("other", "DataError")).code, "internal");
  fc.assert(fc.property(fc.anything(), fc.string({ minLength: 8 }), (thrown, secret) => {
    assert.equal(toArkError(thrown).code, "internal");
    const fault = toArkError(new Error(`Cannot tokenize ${secret}`));
    assert.ok(fault.code === "internal" && !fault.message.includes(secret));
  }));
});
