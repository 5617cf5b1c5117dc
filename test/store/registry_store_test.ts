/** The registry's database: the same tests for SQLite and, where there is a server's program, for PostgreSQL. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { openRegistryStore, type RegistryEntry, type RegistryStore } from "@ark/node/store";
import { findPostgres, Postgres } from "../support/postgres.ts";

const DAY = 86_400_000;

function entry(nodeId: string, given: Partial<RegistryEntry> = {}): RegistryEntry {
  return { nodeId, seq: 1, notAfter: DAY, open: true, models: [], statement: JSON.stringify({ nodeId }), ...given };
}

const said = (word: string) => JSON.stringify({ nodeId: "a", word });

const ids = async (store: RegistryStore, query: { model?: string; after?: string; limit?: number; now?: number }) =>
  JSON.parse(`[${(await store.list({ now: 0, limit: 100, ...query })).statements}]`)
    .map(({ nodeId }: { nodeId: string }) => nodeId) as string[];

const TESTS: Record<string, (store: RegistryStore) => Promise<void>> = {
  async "keeps the latest registration of a node, and says which one it has"(store) {
    assert.equal(await store.put(entry("a", { seq: 2, statement: said("two"), models: ["m:1"] })), null);
    assert.equal(await store.put(entry("a", { seq: 1, statement: said("one") })), 2);
    assert.equal(await store.put(entry("a", { seq: 2, statement: said("again") })), 2);
    assert.equal(await store.get("a", 0), said("two"));
    assert.equal(await store.put(entry("a", { seq: 3, statement: said("three"), models: ["n:1"] })), null);
    assert.equal(await store.get("a", 0), said("three"));
    assert.deepEqual(await ids(store, { model: "m:1" }), []);
    assert.deepEqual(await ids(store, { model: "n:1" }), ["a"]);
    assert.equal(await store.count(), 1);
  },
  async "keeps one of many at once, the one with the highest number"(store) {
    await Promise.all(
      Array.from({ length: 20 }, (_, seq) => store.put(entry("a", { seq: seq + 1, statement: `${seq + 1}` }))),
    );
    assert.equal(await store.get("a", 0), "20");
  },
  async "tells nobody of who has taken himself out, and does not take an older one back"(store) {
    await store.put(entry("a", { models: ["m:1"] }));
    await store.put(entry("a", { seq: 2, open: false }));
    assert.equal(await store.get("a", 0), undefined);
    assert.deepEqual(await ids(store, {}), []);
    assert.deepEqual(await ids(store, { model: "m:1" }), []);
    assert.equal(await store.put(entry("a", { seq: 1 })), 2);
  },
  async "forgets what has ended, and tells of it no more before that"(store) {
    await store.put(entry("a", { notAfter: 10, models: ["m:1"] }));
    await store.put(entry("b", { notAfter: 20, models: ["m:1"] }));
    assert.equal(await store.get("a", 10), undefined);
    assert.deepEqual(await ids(store, { now: 10, model: "m:1" }), ["b"]);
    assert.deepEqual(await ids(store, { now: 10 }), ["b"]);
    assert.equal(await store.expire(10), 1);
    assert.equal(await store.expire(10), 0);
    assert.equal(await store.count(), 1);
    assert.equal(await store.put(entry("a", { seq: 1 })), null);
  },
  async "finds nodes by a model, by the beginning of one, and page by page in the order of their ids"(store) {
    const random = fc.sample(
      fc.uniqueArray(
        fc.tuple(
          fc.stringMatching(/^[0-9a-f]{1,9}$/),
          fc.uniqueArray(fc.constantFrom("a:1", "a:2", "ab:1", "b:1", "a_:1"), { maxLength: 3 }),
        ),
        {
          minLength: 60,
          maxLength: 60,
          selector: ([id]) => id,
        },
      ),
      { numRuns: 1, seed: 7 },
    )[0] ?? [];
    for (const [id, models] of random) await store.put(entry(id, { models }));
    for (const model of ["a:1", "a*", "a:*", "b*", "c*", "*", "a_*"]) {
      const fits = (name: string) => model.endsWith("*") ? name.startsWith(model.slice(0, -1)) : name === model;
      const right = random.filter(([, models]) => models.some(fits)).map(([id]) => id).sort();
      const pages: string[] = [];
      for (let after = "";;) {
        const page = await ids(store, { model, limit: 7, after });
        pages.push(...page);
        if (page.length < 7) break;
        after = page.at(-1) ?? "";
      }
      assert.deepEqual(pages, right, model);
    }
    assert.deepEqual(await ids(store, { limit: 1_000 }), random.map(([id]) => id).sort());
  },
};

for (const [name, test] of Object.entries(TESTS)) {
  Deno.test(`A registry in SQLite ${name}`, async () => {
    await using store = await openRegistryStore(":memory:");
    await test(store);
  });
}

const postgres = await findPostgres();
// deno-lint-ignore no-console
if (typeof postgres === "string") console.log(`registry_store_test: PostgreSQL skipped, ${postgres}`);

Deno.test({
  name: "A registry in PostgreSQL does all of that as well",
  ignore: typeof postgres === "string",
  async fn(context) {
    if (typeof postgres === "string") return;
    await using server = await Postgres.start(postgres);
    for (const [name, test] of Object.entries(TESTS)) {
      await context.step(name, async () => {
        await using store = await openRegistryStore(await server.database());
        await test(store);
      });
    }
  },
});
