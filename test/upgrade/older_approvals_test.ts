import assert from "node:assert/strict";
import { olderApprovals } from "@ark/node/peers";

const BASE = {
  node_id: "a",
  public_key: "ed25519:a",
  name: "A",
  approved_at: "2026-01-01T00:00:00.000Z",
  permissions: {
    can_request_inference: true,
    can_pull_models: false,
    models_shared: ["*"],
    max_concurrent_requests: 1,
  },
};

function fileOf(...peers: unknown[]): string {
  return JSON.stringify({ peers });
}

Deno.test("olderApprovals() leaves a file alone that the older version reads, or that nobody reads", () => {
  for (const text of [fileOf(BASE), fileOf(), "{", "[]", '{"peers":1}']) {
    assert.equal(olderApprovals(text, { step: 1, before: null }), null);
  }
  const paused = fileOf({ ...BASE, paused: true });
  assert.equal(olderApprovals(paused, { step: 7, before: null }), null);
  // What was in the file of then, the version of then wrote.
  assert.equal(olderApprovals(paused, { step: 1, before: paused }), null);
});

Deno.test("olderApprovals() leaves out fields that hold nobody back, and says which", () => {
  const own = { ...BASE, own: true, permissions: { ...BASE.permissions, content_shared: ["*"] } };
  const older = olderApprovals(fileOf(own), { step: 8, before: null });
  assert.deepEqual(JSON.parse(older?.text ?? "").peers, [BASE]);
  assert.match(older?.notes.join() ?? "", /^That version does not know own and content_shared of approved_peers\.json/);
});

Deno.test("olderApprovals() lets nobody do more than before", () => {
  const held = [
    { ...BASE, name: "Paused", paused: true },
    { ...BASE, name: "Limited", permissions: { ...BASE.permissions, max_tokens_per_day: 5 } },
    { ...BASE, name: "Unknown", only_on_sundays: true },
  ];
  const older = olderApprovals(fileOf(BASE, ...held), { step: 1, before: null });
  assert.deepEqual(JSON.parse(older?.text ?? "").peers, [BASE]);
  assert.match(older?.notes.join() ?? "", /what holds Paused, Limited and Unknown back/);
});
