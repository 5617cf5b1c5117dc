/** Content packs and copies of models as the owner meets them on the command line. */
import assert from "node:assert/strict";
import { formatPublicKey, generateIdentity } from "@ark/node/identity";
import { until } from "../inference/local_fixture.ts";
import { FIXTURES, MODEL, TestNode } from "../mesh/test_node.ts";
import { runMain } from "./run_main.ts";

Deno.test("peers approve --content says which packs a peer may read", async () => {
  await using node = await TestNode.start({ name: "N" });
  const key = formatPublicKey(generateIdentity().publicKey);
  const run = (...args: string[]) => runMain(["peers", "approve", key, "--data", node.data, "--name", "Dave", ...args]);
  const some = await run("--models", "a", "--content", "wikipedia*, ted");
  assert.equal(some.code, 0, some.stderr);
  assert.match(
    some.stdout,
    /^Dave may ask a, one question at a time\. .* It may read the content packs wikipedia\* and ted\.$/m,
  );
  assert.deepEqual(node.daemon.book.list()[0]?.permissions.content_shared, ["wikipedia*", "ted"]);
  const none = await run("--models", "a");
  assert.doesNotMatch(none.stdout, /content/);
  assert.equal(node.daemon.book.list()[0]?.permissions.content_shared, undefined);
});

Deno.test("models keep wishes for copies, shows wishes, and takes them back", async () => {
  await using node = await TestNode.start({ name: "N", models: [FIXTURES] });
  const run = (...args: string[]) => runMain(["models", "keep", ...args, "--data", node.data]);
  assert.match((await run()).stdout, /^There is no wish/);
  await until(() => node.daemon.engine?.catalogue.find(MODEL)?.digest !== null);
  const kept = await run("arkling", "--copies", "2");
  assert.deepEqual([kept.code, kept.stdout], [0, `Of your own nodes, 2 are to have ${MODEL}.\n`]);
  assert.match((await run()).stdout, new RegExp(`^${MODEL} +2 +1 +0$`, "m"));
  assert.deepEqual(JSON.parse((await run("--json")).stdout).wishes[0].holders, [node.daemon.id]);
  for (const wrong of [["arkling"], ["--copies", "2"], ["arkling", "--copies", "two"], ["a", "b", "--copies", "2"]]) {
    assert.equal((await run(...wrong)).code, 2, wrong.join(" "));
  }
  const missing = await run("nothing", "--copies", "2");
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /There is no model nothing/);
  assert.match((await run("arkling", "--copies", "0")).stdout, /As many nodes have/);
  assert.match((await run()).stdout, /^There is no wish/);
});
