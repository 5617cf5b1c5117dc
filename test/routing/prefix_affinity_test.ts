import assert from "node:assert/strict";
import type { InferenceRequest, Message } from "@ark/node/protocol";
import { BLOCK_TOKENS, PrefixAffinity, prefixOfRequest } from "../../src/routing/prefix_affinity.ts";

const SCOPE = { principal: "owner", model: "tiny:1b" };

function chat(...texts: string[]): InferenceRequest {
  const messages = texts.map((content, index): Message => ({ role: index % 2 === 0 ? "user" : "assistant", content }));
  return { model: "tiny:1b", input: { kind: "chat", messages }, parameters: {} };
}

const LONG = "The quick brown fox jumps over the lazy dog. ".repeat(40);

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
