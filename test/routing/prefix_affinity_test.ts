import assert from "node:assert/strict";
import type { InferenceRequest, Message } from "@ark/node/protocol";
import { BLOCK_TOKENS, PrefixAffinity, prefixOfIds, prefixOfRequest } from "../../src/routing/prefix_affinity.ts";

/** SHA-256 of arkling-9m-q8_0.gguf, whose chain stands in compute.md part E. */
const ARKLING = "4a9d0a9856cb46daa8cf179c7e05e36e0aeecc4aac71dff76318dca731481c1c";

const SCOPE = { principal: "owner", model: "tiny:1b" };

function chat(...texts: string[]): InferenceRequest {
  const messages = texts.map((content, index): Message => ({ role: index % 2 === 0 ? "user" : "assistant", content }));
  return { model: "tiny:1b", input: { kind: "chat", messages }, parameters: {} };
}

const LONG = "The quick brown fox jumps over the lazy dog. ".repeat(40);

Deno.test("prefixOfIds() chains complete blocks of 64 ids, and each block depends on all before it", () => {
  const digest = ARKLING;
  const ids = Array.from({ length: 300 }, (_, index) => index);
  const chain = prefixOfIds(digest, ids);
  assert.deepEqual(chain.slice(0, 2), ["a3b40e35db7fdbc7", "6e68449a775a586b"]);
  assert.equal(chain.length, 4);
  for (const hash of chain) assert.match(hash, /^[0-9a-f]{16}$/);
  assert.deepEqual(prefixOfIds(digest, ids.slice(0, 191)), chain.slice(0, 2));
  const other = prefixOfIds(digest, [1, ...ids.slice(1)]);
  assert.ok(other.every((hash, index) => hash !== chain[index]));
  assert.notDeepEqual(prefixOfIds("5".repeat(64), ids), chain);
});

Deno.test("prefixOfRequest() keeps its blocks when a conversation goes on, and shares none between principals", () => {
  const first = prefixOfRequest(chat(LONG), SCOPE);
  const second = prefixOfRequest(chat(LONG, "An answer", "And now?"), SCOPE);
  assert.ok(first.length >= 6);
  assert.deepEqual(second.slice(0, first.length), first);
  for (const scope of [{ ...SCOPE, principal: "key 1" }, { ...SCOPE, model: "other:1b" }]) {
    const other = prefixOfRequest(chat(LONG), scope);
    assert.ok(other.length === first.length && other.every((hash) => !first.includes(hash)));
  }
  assert.notEqual(prefixOfRequest(chat(`X${LONG}`), SCOPE)[0], first[0]);
  assert.ok(prefixOfRequest(chat(LONG.repeat(1_000)), SCOPE).length <= 1_024);
});

Deno.test("PrefixAffinity knows who has how much of a prompt, for ten minutes since it was used last", () => {
  let now = 0;
  const affinity = new PrefixAffinity({ clock: () => now });
  const [short, long] = [prefixOfRequest(chat(LONG), SCOPE), prefixOfRequest(chat(LONG, LONG, "More?"), SCOPE)];
  affinity.note("a", short);
  affinity.note("b", long);
  assert.deepEqual(
    affinity.cached(long),
    new Map([["a", short.length * BLOCK_TOKENS], ["b", long.length * BLOCK_TOKENS]]),
  );
  assert.deepEqual(affinity.cached(prefixOfRequest(chat("Other", LONG), SCOPE)), new Map());
  now = 400_000;
  affinity.note("a", short);
  now = 700_000;
  assert.deepEqual([...affinity.cached(long).keys()], ["a"]);
  now = 1_100_000;
  assert.equal(affinity.cached(long).size, 0);
  affinity.note("a", short);
  affinity.forget("a");
  assert.equal(affinity.cached(short).size, 0);
});

Deno.test("PrefixAffinity stays within its bounds, and forgets what was used least recently", () => {
  const affinity = new PrefixAffinity({ clock: () => 0 });
  const chainOf = (name: string) => Array.from({ length: 1_000 }, (_, index) => `${name}/${index}`);
  for (let turn = 0; turn < 6; turn++) affinity.note("one", chainOf(`${turn}`));
  assert.equal(affinity.size, 4_096);
  assert.equal(affinity.cached(chainOf("0")).size, 0);
  assert.equal(affinity.cached(chainOf("5")).get("one"), 64_000);
  for (let peer = 0; peer < 100; peer++) affinity.note(`${peer}`, chainOf("all"));
  assert.equal(affinity.size, 65_536);
  assert.deepEqual([affinity.cached(chainOf("5")).size, affinity.cached(chainOf("all")).get("99")], [0, 64_000]);
});
