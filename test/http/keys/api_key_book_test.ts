import assert from "node:assert/strict";
import { ApiKeyBook } from "@ark/node/http";
import { openStore } from "@ark/node/store";
import fc from "fast-check";
import { decodeApiKeyOrder } from "../../../src/http/keys/api_key.ts";
import { withDirectory } from "../../support/temporary.ts";

const UNAUTHENTICATED = { name: "ArkError", code: "unauthenticated" };

Deno.test("ApiKeyBook.create() shows a key once, and the database holds nothing from which it could be made again", () =>
  withDirectory(async (directory) => {
    const path = `${directory}/node.db`;
    let shown = "";
    {
      await using store = await openStore(path);
      await using book = await ApiKeyBook.open({ store });
      const { key, text } = await book.create({ name: "phone", models: ["llama*"], max_requests_per_minute: 3 });
      shown = text;
      assert.match(text, /^ark-[A-Za-z0-9_-]{43}$/);
      assert.deepEqual(book.list(), [key]);
      assert.ok(!JSON.stringify(key).includes(text.slice(4)));
      assert.equal(book.find(text).key.id, key.id);
      assert.notEqual((await book.create({ name: "tablet" })).text, text);
    }
    for await (const { name } of Deno.readDir(directory)) {
      const bytes = new TextDecoder("latin1").decode(await Deno.readFile(`${directory}/${name}`));
      assert.ok(!bytes.includes(shown.slice(4)), name);
    }
    await using store = await openStore(path);
    await using book = await ApiKeyBook.open({ store });
    const { key } = book.find(shown);
    assert.deepEqual([key.name, key.models, key.max_requests_per_minute], ["phone", ["llama*"], 3]);
    assert.match(key.last_used_at ?? "", /^\d{4}-/, "The last use outlives the process");
  }));

Deno.test("ApiKeyBook.find() refuses what is unknown, revoked or expired, and says which", async () => {
  let wall = Date.parse("2026-11-21T10:00:00Z");
  await using store = await openStore(":memory:");
  await using book = await ApiKeyBook.open({ store, wall: () => wall });
  const { text } = await book.create({ name: "day", expires_at: "2026-11-22T10:00:00Z" });
  const { text: other, key } = await book.create({ name: "gone" });
  assert.equal(book.inForce, 2);
  for (const wrong of ["", "ark-", "ark-" + "A".repeat(43), text.slice(0, -1), text + "A", text.toLowerCase()]) {
    assert.throws(() => book.find(wrong), { ...UNAUTHENTICATED, message: /is not known here/ });
  }
  assert.equal(await book.revoke("nobody"), undefined);
  assert.equal((await book.revoke(key.id))?.name, "gone");
  assert.equal(await book.revoke("gone"), undefined, "Not twice");
  assert.throws(() => book.find(other), { ...UNAUTHENTICATED, message: /was revoked/ });
  wall += 86_400_000;
  assert.throws(() => book.find(text), { ...UNAUTHENTICATED, message: /has expired/ });
  assert.equal(book.inForce, 0);
  // The name of a revoked key is free again.
  await book.create({ name: "gone" });
  await assert.rejects(book.create({ name: "gone" }), { code: "bad_request", message: /There is a key named gone/ });
  assert.deepEqual(book.list().map(({ name, revoked_at }) => [name, revoked_at !== null]), [
    ["day", false],
    ["gone", false],
    ["gone", true],
  ]);
});

Deno.test("ApiKeyBook.revoke() counts at once, also where the database cannot be written", async () => {
  const store = await openStore(":memory:");
  const book = await ApiKeyBook.open({ store });
  const { text } = await book.create({ name: "phone" });
  const lease = book.find(text).meter.admit();
  await store[Symbol.asyncDispose]();
  await assert.rejects(book.revoke("phone"));
  assert.ok(lease.signal.aborted);
  assert.throws(() => book.find(text), UNAUTHENTICATED);
  await book[Symbol.asyncDispose]();
});

Deno.test("ApiKeyBook keeps no more than a thousand keys in force, and two hundred revoked", async () => {
  await using store = await openStore(":memory:");
  await using book = await ApiKeyBook.open({ store });
  for (let number = 0; number < 250; number++) {
    await book.create({ name: `k${number}` });
    await book.revoke(`k${number}`);
  }
  assert.equal(book.list().length, 200);
  assert.equal((await store.selectFrom("api_keys").select("id").execute()).length, 200);
  for (let number = 0; number < 1_000; number++) await book.create({ name: `n${number}` });
  await assert.rejects(book.create({ name: "one more" }), { code: "bad_request", message: /1000 keys/ });
});

Deno.test("ApiKeyBook remembers over a start what a key used of its day", async () => {
  await using store = await openStore(":memory:");
  let text = "";
  {
    await using book = await ApiKeyBook.open({ store });
    text = (await book.create({ name: "phone", max_tokens_per_day: 100 })).text;
    const { meter } = book.find(text);
    using lease = meter.admit();
    assert.ok(lease.spend(100));
  }
  await using book = await ApiKeyBook.open({ store });
  assert.throws(() => book.find(text).meter.admit(), { code: "busy", message: /100 tokens of the day.*24 hours/ });
  await using later = await ApiKeyBook.open({ store, wall: () => Date.now() + 86_400_001 });
  assert.equal(later.find(text).meter.admit().tokensLeft, 100);
});

Deno.test("decodeApiKeyOrder() refuses what it does not know, and never an order that it has read once", () => {
  const wrong: [unknown, RegExp][] = [
    [null, /must be an object/],
    [[], /must be an object/],
    [{}, /Field name/],
    [{ name: "a\nb" }, /Field name/],
    [{ name: "x".repeat(65) }, /Field name/],
    [{ name: "a", admin: true }, /unknown field: admin/],
    [{ name: "a", models: [] }, /Field models/],
    [{ name: "a", models: ["\u202e"] }, /name of a model/],
    [{ name: "a", max_tokens_per_day: 0 }, /max_tokens_per_day must be a whole number/],
    [{ name: "a", max_requests_per_minute: 1.5 }, /max_requests_per_minute/],
    [{ name: "a", max_concurrent_requests: "1" }, /max_concurrent_requests/],
    [{ name: "a", local_only: 1 }, /local_only/],
    [{ name: "a", expires_at: "tomorrow" }, /expires_at/],
  ];
  for (const [order, message] of wrong) {
    assert.throws(() => decodeApiKeyOrder(order), { name: "ArkError", code: "bad_request", message });
  }
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    try {
      const order = decodeApiKeyOrder(value);
      assert.deepEqual(decodeApiKeyOrder(order), order);
    } catch (error) {
      assert.equal((error as { code?: string }).code, "bad_request");
    }
  }));
});
