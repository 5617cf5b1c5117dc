import assert from "node:assert/strict";
import { generateIdentity } from "@ark/node/identity";
import { AddressMemory } from "@ark/node/peers";
import { openStore } from "@ark/node/store";

Deno.test("AddressMemory keeps the latest eight addresses of a node, and they follow it to a new key", async () => {
  await using store = await openStore(":memory:");
  const memory = new AddressMemory(store);
  const [id, other, next] = [generateIdentity().id, generateIdentity().id, generateIdentity().id];
  await memory.note(other, [{ hostname: "fd00::1", port: 9000 }]);
  await memory.note(id, []);
  for (let at = 1; at <= 10; at++) await memory.note(id, [{ hostname: `10.0.0.${at}`, port: 8911 }]);
  const kept = (await memory.all()).filter((one) => one.id === id).map(({ address }) => address.hostname);
  assert.equal(kept.length, 8);
  await memory.inherit(id, next);
  const all = await memory.all();
  assert.deepEqual(all.filter((one) => one.id === next).map(({ address }) => address.hostname).sort(), kept.sort());
  assert.deepEqual(all.filter((one) => one.id === id), []);
  assert.deepEqual(all.filter((one) => one.id === other), [{
    id: other,
    address: { hostname: "fd00::1", port: 9000 },
  }]);
});
