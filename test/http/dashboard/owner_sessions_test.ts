import assert from "node:assert/strict";
import { OwnerSessions } from "@ark/node/http";
import { until } from "../../inference/local_fixture.ts";

Deno.test("OwnerSessions.open() takes a code once, and no other text", () => {
  const sessions = new OwnerSessions();
  const code = sessions.code();
  assert.match(code, /^[\w-]{22}$/);
  const token = sessions.open(code);
  assert.match(token, /^[\w-]{43}$/);
  assert.ok(sessions.holds(token));
  for (const wrong of [code, "", "x".repeat(22), token]) {
    assert.throws(() => sessions.open(wrong), { code: "unauthenticated" });
  }
});

Deno.test("OwnerSessions.open() takes no code that is too old", async () => {
  const sessions = new OwnerSessions({ codeMs: 0 });
  const code = sessions.code();
  const began = performance.now();
  await until(() => performance.now() > began);
  assert.throws(() => sessions.open(code), { code: "unauthenticated" });
});

Deno.test("OwnerSessions keeps the last codes and sessions only", () => {
  const sessions = new OwnerSessions();
  const codes = Array.from({ length: 9 }, () => sessions.code());
  assert.throws(() => sessions.open(codes[0] ?? ""), { code: "unauthenticated" });
  const first = sessions.open(codes[8] ?? "");
  for (let i = 0; i < 32; i++) sessions.open(sessions.code());
  assert.ok(!sessions.holds(first));
});

Deno.test("OwnerSessions.holds() ends with silence, with end() and never holds what is no session", async () => {
  const sessions = new OwnerSessions({ idleMs: 0 });
  const token = sessions.open(sessions.code());
  const began = performance.now();
  await until(() => performance.now() > began);
  assert.ok(!sessions.holds(token));
  const others = new OwnerSessions();
  const other = others.open(others.code());
  assert.ok(!others.holds(""));
  others.end(other);
  assert.ok(!others.holds(other));
});
