/** Other terms for a peer that is approved already, by the name that the owner knows it by. */
import assert from "node:assert/strict";
import { formatPublicKey, generateIdentity } from "@ark/node/identity";
import { TestNode } from "../mesh/test_node.ts";
import { runMain } from "./run_main.ts";

Deno.test("peers approve NAME gives a peer that is approved already other terms, as doctor advises", async () => {
  await using node = await TestNode.start({ name: "N" });
  const run = (...words: string[]) => runMain([...words, "--data", node.data]);
  const key = formatPublicKey(generateIdentity().publicKey);
  assert.equal((await run("peers", "approve", key, "--name", "Dave")).code, 0);
  assert.match((await run("doctor")).stdout, /ark-node peers approve Dave\.$/m);
  const again = await run("peers", "approve", "Dave", "--models", "a", "--expires", "30d");
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stdout, /^Dave may ask a, one question at a time, until /);
  const { models_shared } = node.daemon.book.list()[0]?.permissions ?? {};
  assert.deepEqual([node.daemon.book.list().length, models_shared], [1, ["a"]]);
  const stranger = await run("peers", "approve", "Eve");
  assert.equal(stranger.code, 1);
  assert.match(stranger.stderr, /No node that is known here fits Eve/);
});
