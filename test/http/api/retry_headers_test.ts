import assert from "node:assert/strict";
import { ArkError, type ErrorCode } from "@ark/node/protocol";
import { retryHeaders } from "../../../src/http/api/retry_headers.ts";

function headersOf(code: ErrorCode, { seconds, ran = false }: { seconds?: number; ran?: boolean } = {}) {
  const options = seconds === undefined ? {} : { retryAfterSeconds: seconds };
  return Object.fromEntries(retryHeaders(new ArkError(code, "It did not work", options), { ran }));
}

Deno.test("retryHeaders() tells how long to wait, in seconds and in milliseconds", () => {
  assert.deepEqual(headersOf("busy", { seconds: 2.1 }), { "retry-after": "3", "retry-after-ms": "2100" });
  assert.deepEqual(headersOf("unavailable", { seconds: 0.05 }), { "retry-after": "1", "retry-after-ms": "50" });
  assert.deepEqual(headersOf("busy"), { "retry-after": "1", "retry-after-ms": "1000" });
  assert.deepEqual(headersOf("unavailable"), {});
});

Deno.test("retryHeaders() forbids what has run already, and what must wait longer than clients do", () => {
  assert.deepEqual(headersOf("unavailable", { ran: true }), { "x-should-retry": "false" });
  assert.equal(headersOf("busy", { seconds: 60 })["x-should-retry"], undefined);
  assert.equal(headersOf("busy", { seconds: 3_600 })["x-should-retry"], "false");
});
