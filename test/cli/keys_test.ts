/** Keys and the doctor, as the owner meets them on the command line. */
import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { FIXTURES, MODEL, TestNode } from "../mesh/test_node.ts";
import { NodeProcess } from "../support/node_process.ts";
import { runMain } from "./run_main.ts";

Deno.test("keys create shows a key once, keys list what it may do, and keys revoke takes it back", async () => {
  await using node = await TestNode.start({ name: "N", models: [FIXTURES] });
  const run = (...words: string[]) => runMain([...words, "--data", node.data]);
  assert.match((await run("keys")).stdout, /There is no API key, and apps of this machine need none/);
  const flags = ["--models=arkling*,llama*", "--rate=9", "--tokens-per-day=500", "--max-concurrent=2", "--expires=30d"];
  const made = await run("keys", "create", "My phone", ...flags, "--local-only");
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stdout, /^ark-[A-Za-z0-9_-]{43}\n$/, "Only the key, so that a script can take it");
  assert.match(
    made.stderr,
    /copy it now.*arkling\* llama\*, 9 a minute, 500 tokens a day, 2 at once, on this machine only/,
  );
  const headers = { authorization: `Bearer ${made.stdout.trim()}` };
  const answer = await node.chat({ model: MODEL, max_tokens: 1 }, { headers });
  assert.equal((await answer.json()).usage.completion_tokens, 1);

  const { stdout } = await run("keys", "list");
  assert.match(stdout, /^NAME +ID +STATE +LAST USE +MAY USE\n/);
  assert.match(stdout, /\nMy phone +[0-9a-f]{8} +until \d{4}-\d\d-\d\d +\d{4}-\d\d-\d\d \d\d:\d\d +arkling\*/);
  assert.ok(!stdout.includes(made.stdout.slice(4, 20)));
  const { keys } = JSON.parse((await run("keys", "list", "--json")).stdout);
  assert.equal(keys[0].max_tokens_per_day, 500);
  const twice = await run("keys", "create", "My phone");
  assert.deepEqual([twice.code, twice.stderr], [
    1,
    "ark-node: There is a key named My phone already: revoke it, or choose another name\n",
  ]);
  assert.match((await run("keys", "revoke", "My phone")).stdout, /^The key My phone is revoked/);
  assert.match((await run("keys")).stdout, /My phone .* revoked \d{4}/);
  assert.match((await run("keys", "revoke", keys[0].id)).stderr, /No API key in force has this name or id/);
  assert.equal((await node.chat({ model: MODEL }, { headers }).then((no) => (no.body?.cancel(), no))).status, 401);
});

Deno.test("doctor says what is wrong and what to do, and exits with 1 when it is dangerous", async () => {
  await using node = await TestNode.start({ name: "N" });
  const well = await runMain(["doctor", "--data", node.data]);
  assert.equal(well.code, 0, well.stdout);
  assert.match(
    well.stdout,
    /^ {2}ok +The API listens on this machine only \(http:\/\/127\.0\.0\.1:\d+\), and any app/m,
  );
  await Deno.chmod(`${node.data}/node.key`, 0o644);
  const ill = await runMain(["doctor", "--data", node.data]);
  assert.equal(ill.code, 1);
  assert.match(
    ill.stdout,
    /^ {2}FAIL +Other users of this machine can open the key .*\n +do +Run: chmod 600 '.*node\.key'\.\n/m,
  );
  const { running, findings } = JSON.parse((await runMain(["doctor", "--json", "--data", node.data])).stdout);
  assert.ok(running);
  assert.deepEqual([findings[0].check, findings[0].level], ["private-files", "danger"]);
  const nobody = await runMain(["doctor", "--data", `${node.data}/none`]);
  assert.match(
    nobody.stdout,
    /^ {2}warn +No node runs with this data directory\.\n +why .*\n +do +Start it: ark-node/m,
  );
});

Deno.test("serve says aloud that its API is open to the network, and its owner still gets in", async () => {
  await using node = await NodeProcess.start({
    name: "N",
    args: ["--no-mdns", "--listen", "0.0.0.0:0", "--models", FIXTURES],
  });
  await until(() => node.log.includes("says more"));
  assert.match(node.log, /={80}\nWARNING {2}The API is open to the network .* travel there in clear\.\n/);
  assert.match(node.log, /WARNING .*there is no API key yet.*\n +Make a key for each app: ark-node keys create NAME\./);
  const { code, stdout } = await node.cli("keys", "create", "phone");
  assert.equal(code, 0);
  const { port } = new URL(node.ready.api);
  const models = (key: string) =>
    fetch(`http://127.0.0.1:${port}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
  assert.equal((await (await models(stdout.trim())).json()).data[0].id, MODEL);
  assert.match((await (await models("sk-anything")).json()).error.message, /This API needs a key/);
  const asked = await node.json<{ text: string }>("ask", MODEL, "Hello", "--max-tokens", "2");
  assert.ok(asked.text.length > 0);
});
