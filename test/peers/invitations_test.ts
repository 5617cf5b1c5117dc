import assert from "node:assert/strict";
import { generateIdentity } from "@ark/node/identity";
import { Invitations, proveInvitation } from "@ark/node/peers";
import { openStore } from "@ark/node/store";

const self = generateIdentity().id;
const terms = { permissions: { can_request_inference: true, models_shared: ["x"] }, lives_ms: null };

function proof(secret: Uint8Array<ArrayBuffer>, caller: string, inviter = self) {
  return { ...proveInvitation({ inviter, hints: [], secret }, caller), name: "Guest" };
}

Deno.test("Invitations.redeem() accepts the secret once, for the very node that proves it, to the very node that made it", async () => {
  await using store = await openStore(":memory:");
  const invitations = new Invitations(store);
  const { secret } = await invitations.create({ lifeMs: 60_000, terms });
  const [guest, thief] = [generateIdentity().id, generateIdentity().id];
  const good = proof(secret, guest);
  const wrong = Uint8Array.from(secret, (byte, at) => at === 0 ? byte ^ 1 : byte);
  for (
    const [bad, caller, at] of [
      [proof(wrong, guest), guest, self],
      [good, thief, self],
      [proof(secret, guest, thief), guest, self],
      [good, guest, thief],
      [{ ...good, proof: "00".repeat(64) }, guest, self],
      [{ ...good, invitation: "01" + "00".repeat(31) }, guest, self],
      [proof(secret, self), self, self],
    ] as const
  ) await assert.rejects(invitations.redeem(bad, { caller, self: at }), { code: "forbidden" });
  assert.deepEqual(await invitations.redeem(good, { caller: guest, self }), terms);
  await assert.rejects(invitations.redeem(good, { caller: guest, self }), { code: "forbidden" });
  await assert.rejects(invitations.redeem(proof(secret, thief), { caller: thief, self }), { code: "forbidden" });
  await invitations.restore(good, thief);
  await assert.rejects(invitations.redeem(good, { caller: guest, self }), { code: "forbidden" });
  await invitations.restore(good, guest);
  assert.deepEqual(await invitations.redeem(good, { caller: guest, self }), terms);
});

Deno.test("Invitations.redeem() accepts nothing whose time is over, by the wall clock or by the one that nobody sets", async () => {
  await using store = await openStore(":memory:");
  let now = 0;
  const invitations = new Invitations(store, { now: () => now });
  const guest = generateIdentity().id;
  const first = await invitations.create({ lifeMs: 60_000, terms });
  now = 60_000;
  assert.equal((await invitations.list())[0]?.state, "expired");
  await assert.rejects(invitations.redeem(proof(first.secret, guest), { caller: guest, self }), { code: "forbidden" });
  const second = await invitations.create({ lifeMs: 60_000, terms });
  await store.updateTable("invitations").set({ expires_ms: Date.now() }).execute();
  // As after a restart: only the wall clock is left.
  const later = new Invitations(store);
  await assert.rejects(later.redeem(proof(second.secret, guest), { caller: guest, self }), { code: "forbidden" });
  // A clock that was set back by a day makes no invitation younger than it is.
  await store.updateTable("invitations").set({
    created_ms: Date.now() + 86_400_000,
    expires_ms: Date.now() + 2 * 86_400_000,
  }).execute();
  await assert.rejects(later.redeem(proof(second.secret, guest), { caller: guest, self }), { code: "forbidden" });
});

Deno.test("Invitations.create() keeps their number and their life within bounds", async () => {
  await using store = await openStore(":memory:");
  const invitations = new Invitations(store);
  for (const lifeMs of [0, 59_999, 30 * 86_400_000 + 1, NaN, Infinity]) {
    await assert.rejects(invitations.create({ lifeMs, terms }), { code: "bad_request" });
  }
  for (let count = 0; count < 64; count++) await invitations.create({ lifeMs: 60_000, terms });
  await assert.rejects(invitations.create({ lifeMs: 60_000, terms }), { code: "busy" });
  const [view] = await invitations.list();
  assert.equal((await invitations.revoke(view?.id ?? ""))?.id, view?.id);
  assert.equal(await invitations.revoke("%"), undefined);
  assert.equal(await invitations.revoke(""), undefined);
  await invitations.create({ lifeMs: 60_000, terms });
});
