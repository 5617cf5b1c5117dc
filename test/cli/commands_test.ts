import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { NodeProcess } from "../support/node_process.ts";
import { FIXTURES, MODEL } from "../mesh/test_node.ts";
import { runMain } from "./run_main.ts";

/** Runs a command against a node, inside the test's process. */
function run(node: NodeProcess, ...args: string[]) {
  return runMain([...args, "--data", node.ready.data]);
}

Deno.test("The commands show and change what the running nodes know", async () => {
  await using b = await NodeProcess.start({ name: "B", args: ["--no-mdns", "--gpu", "off", "--models", FIXTURES] });
  await using a = await NodeProcess.start({ name: "A", args: ["--no-mdns", "--peer", b.ready.mesh] });

  const id = await run(a, "id");
  assert.equal(id.stdout, `${a.ready.node_id}\n${a.ready.public_key}\n`);
  assert.match((await run(a, "peers")).stdout, /No peer is approved/);
  assert.match((await run(b, "peers", "discovered")).stdout, /Nobody is near yet/);
  await until(async () => (await run(a, "peers", "discovered")).stdout.includes(b.ready.node_id));
  assert.match((await run(a, "peers", "discovered")).stdout, /^STATE +ID +ADDRESS +FOUND BY\npending .* fixed\n/);

  const short = b.ready.node_id.slice(0, 8);
  const first = await run(
    a,
    "peers",
    "approve",
    short,
    "--name",
    "Cellar",
    "--models",
    "arkling*",
    "--max",
    "2",
    "--expires",
    "30d",
  );
  assert.equal(first.code, 0, first.stderr);
  assert.match(
    first.stdout,
    /^Cellar may ask arkling\*, two questions at a time, until \d{1,2} \w+( \d{4})?\. It cannot download models\.\n/,
  );
  assert.match(first.stdout, /Its owner has not approved this node yet/);
  // By asking, A has become known to B.
  await until(async () => (await run(b, "peers", "discovered")).stdout.includes(a.ready.node_id));
  assert.match((await run(a, "peers")).stdout, /Cellar +\w{8} +not approved/);
  const second = await run(b, "peers", "approve", a.ready.node_id);
  assert.equal(second.code, 0, second.stderr);
  await until(async () => (await run(a, "peers")).stdout.includes("ready"));
  assert.match((await run(a, "peers")).stdout, /Cellar +\w{8} +ready +\d+\.\d ms +arkling:9m-q4_0\n/);

  assert.match(
    (await run(a, "models")).stdout,
    /^MODEL .*\narkling:9m-q4_0 +5\.2 MB +q4_0 +1024 +chat,completion +Cellar +-\n$/,
  );
  assert.match((await run(b, "models")).stdout, /here/);
  const asked = await run(a, "ask", MODEL, "The", "quick", "--max-tokens", "6", "--seed", "1", "--temperature", "0");
  assert.deepEqual([asked.code, asked.stderr], [0, ""]);
  const json = await run(
    a,
    "ask",
    MODEL,
    "The",
    "quick",
    "--max-tokens",
    "6",
    "--seed",
    "1",
    "--temperature",
    "0",
    "--json",
  );
  const answer = JSON.parse(json.stdout);
  assert.equal(answer.text, asked.stdout.slice(0, -1));
  assert.deepEqual([answer.node, answer.route, answer.usage.completion_tokens], ["Cellar", "peer", 6]);
  const unknown = await run(a, "ask", "nothing", "x");
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /^ark-node: The model 'nothing' .* available: arkling:9m-q4_0\n$/);

  const status = await run(b, "status");
  assert.match(status.stdout, /^B {2}compute, gateway {2}ark-node /);
  assert.match(status.stdout, /models +1 here, 1 within reach; in memory: arkling:9m-q4_0 \(CPU\)/);
  assert.match(status.stdout, /peers +1 approved, 1 ready; 0 waiting/);
  assert.equal(JSON.parse((await run(b, "status", "--json")).stdout).node_id, b.ready.node_id);

  const tail = await run(b, "audit");
  assert.match(tail.stdout, /^SEQ +TIME +WHAT +WHO +MODEL +TOKENS +MS +OUTCOME\n/);
  assert.match(
    tail.stdout,
    new RegExp(`they asked, end +${a.ready.node_id.slice(0, 8)} +arkling:9m-q4_0 +\\d+\\+6 +\\d+ +ok`),
  );
  assert.match((await run(b, "audit", "verify")).stdout, /^The audit log is whole: \d+ entries/);

  const why = await run(a, "peers", "why", "Cellar", MODEL);
  assert.match(
    why.stdout,
    /^Cellar cannot ask arkling:9m-q4_0 here, because there is no such model on this node, but you can ask arkling:9m-q4_0 there\.\n/,
  );
  assert.equal((await run(a, "peers", "why", "Cellar")).code, 2);
  assert.match((await run(a, "peers", "pause", "Cellar")).stdout, /^Cellar is paused: /);
  assert.match((await run(a, "peers")).stdout, /Cellar +\w{8} +paused/);
  assert.match((await run(a, "peers", "why", "Cellar", MODEL)).stdout, /because you paused it, and you cannot ask/);
  assert.match((await run(a, "models")).stdout, /There is no model/);
  assert.match((await run(a, "peers", "resume", "Cellar")).stdout, /^Cellar may ask again/);
  const limited = await run(
    a,
    "peers",
    "approve",
    short,
    "--rate",
    "10",
    "--tokens-per-day",
    "20000",
    "--max-tokens",
    "500",
  );
  assert.match(limited.stdout, /at most 10 a minute and 20,000 tokens a day, answers of at most 500 tokens\./);
  assert.equal((await run(a, "peers", "approve", short, "--rate", "0")).code, 2);

  const revoked = await run(a, "peers", "revoke", "Cellar");
  assert.match(revoked.stdout, /^Cellar may do nothing here any more/);
  assert.equal((await run(a, "peers", "revoke", "Cellar")).code, 1);
  assert.match((await run(a, "models")).stdout, /There is no model/);
});

Deno.test("The audit log is read and checked also when the node does not run, and a changed entry is found", async () => {
  const data = await Deno.makeTempDir({ prefix: "ark-audit-" });
  {
    await using node = await NodeProcess.start({ name: "N", args: ["--no-mdns"], data });
    const { public_key } = node.ready;
    const stranger = public_key;
    // A node may not approve itself for anything useful, but the act is recorded like any other.
    assert.equal((await run(node, "peers", "approve", stranger)).code, 0);
    assert.equal((await run(node, "peers", "revoke", stranger)).code, 0);
  }
  const offline = (...args: string[]) => runMain([...args, "--data", data]);
  assert.match((await offline("audit", "tail")).stdout, /approved .*\n.*revoked/);
  assert.equal((await offline("audit", "export")).stdout, await Deno.readTextFile(`${data}/audit.log`));
  assert.equal((await offline("audit", "verify")).code, 0);

  const text = await Deno.readTextFile(`${data}/audit.log`);
  await Deno.writeTextFile(`${data}/audit.log`, text.replace('"kind":"approve"', '"kind":"approva"'));
  const changed = await offline("audit", "verify");
  assert.equal(changed.code, 1, changed.stdout + changed.stderr);
  assert.match(changed.stdout + changed.stderr, /audit log/i);
  await Deno.remove(data, { recursive: true });
});
