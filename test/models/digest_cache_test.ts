import assert from "node:assert/strict";
import { type DigestCache, MemoryDigestCache, storeDigestCache } from "@ark/node/models";
import { openStore } from "@ark/node/store";

async function contract(cache: DigestCache): Promise<void> {
  const stamp = { path: "/a.gguf", size: 10, mtimeMs: 5 };
  assert.equal(await cache.get(stamp), undefined);
  await cache.put(stamp, "aa");
  assert.equal(await cache.get(stamp), "aa");
  assert.equal(await cache.get({ ...stamp, size: 11 }), undefined);
  assert.equal(await cache.get({ ...stamp, mtimeMs: 6 }), undefined);
  await cache.put({ ...stamp, mtimeMs: 6 }, "bb");
  assert.equal(await cache.get({ ...stamp, mtimeMs: 6 }), "bb");
  assert.equal(await cache.get(stamp), undefined);
}

Deno.test("MemoryDigestCache knows a file only in the state that was hashed", () => contract(new MemoryDigestCache()));

Deno.test("storeDigestCache() knows a file only in the state that was hashed", async () => {
  await using store = await openStore(":memory:");
  await contract(storeDigestCache(store));
});
