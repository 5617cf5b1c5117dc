import assert from "node:assert/strict";
import { Lately } from "../../src/routing/lately.ts";

const signal = new AbortController().signal;

Deno.test("Lately.found() waits for those who were there a moment ago, as long as somebody is away", async () => {
  let away = true;
  const lately = new Lately(() => away);
  let there = ["peer"];
  const look = () => there;
  assert.deepEqual(await lately.found("m", { look, signal }), ["peer"]);
  there = [];
  setTimeout(() => there = ["back"], 100);
  assert.deepEqual(await lately.found("m", { look, signal }), ["back"]);
  there = [];
  setTimeout(() => away = false, 100);
  assert.deepEqual(await lately.found("m", { look, signal }), [], "Nobody is away any more who could come back");
});

Deno.test("Lately.found() waits for nobody who was not there, nor for ever, nor for a client that has left", async () => {
  let now = 0;
  const lately = new Lately(() => true, () => now);
  let looks = 0;
  const nobody = () => {
    now += 100;
    looks++;
    return [];
  };
  assert.deepEqual(await lately.found("never", { look: nobody, signal }), []);
  assert.equal(looks, 1);
  await lately.found("m", { look: () => ["peer"], signal });
  assert.deepEqual(await lately.found("m", { look: nobody, signal }), []);
  assert.ok(looks > 2 && looks < 30, `${looks}`);
  now += 10_000;
  looks = 0;
  await lately.found("m", { look: nobody, signal });
  assert.equal(looks, 1, "It is too long ago");
  await lately.found("m", { look: () => ["peer"], signal });
  assert.deepEqual(await lately.found("m", { look: nobody, signal: AbortSignal.abort() }), []);
});

Deno.test("Lately remembers no more than 256 models", async () => {
  const lately = new Lately(() => true);
  for (let model = 0; model < 1_000; model++) await lately.found(`m${model}`, { look: () => [model], signal });
  let looks = 0;
  const look = () => {
    looks++;
    return [];
  };
  await lately.found("m0", { look, signal });
  assert.equal(looks, 1);
});
