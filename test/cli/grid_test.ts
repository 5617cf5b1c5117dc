/** What the owner looks at: the grid, the requests and why somebody answers, on two real nodes. */
import assert from "node:assert/strict";
import type { WhyModel } from "@ark/node/http";
import type { DensityGrid, LedgerEntry } from "@ark/node/routing";
import { until } from "../inference/local_fixture.ts";
import { NodeProcess } from "../support/node_process.ts";
import { FIXTURES, MODEL } from "../mesh/test_node.ts";
import { runForPerson, runMain } from "./run_main.ts";

const PROMPT = "violet-harbour-prompt";

function run(node: NodeProcess, ...args: string[]) {
  return runMain([...args, "--data", node.ready.data]);
}

async function json<T>(node: NodeProcess, ...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await run(node, ...args, "--json");
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

Deno.test("grid, requests and why show what two nodes have, what was asked, and who answers", async () => {
  const args = ["--no-mdns", "--gpu", "off"];
  await using b = await NodeProcess.start({ name: "Cellar", args: [...args, "--models", FIXTURES, "--show-hardware"] });
  await using a = await NodeProcess.start({ name: "Desk", args: [...args, "--peer", b.ready.mesh] });
  assert.equal((await run(a, "requests")).stdout, "Nobody has asked anything since the node started.\n");
  assert.match((await run(a, "grid")).stdout, /^1 node, 1 ready for 1 request at once; 0 models; .* of memory\.\n/);
  const nobody = await json<WhyModel>(a, "why", MODEL);
  assert.equal(nobody.sentence, `Nobody within reach can answer ${MODEL} now.`);
  assert.deepEqual(nobody.excluded.map(({ reason }) => reason), ["no_such_model"]);

  await b.json("peers", "approve", a.ready.public_key, "--max", "3");
  await a.json("peers", "approve", b.ready.public_key, "--name", "Cellar");
  await until(async () => (await json<DensityGrid>(a, "grid")).models.length > 0);
  await until(async () => (await json<DensityGrid>(a, "grid")).totals.hardware_unknown === 0);

  const grid = await json<DensityGrid>(a, "grid");
  assert.deepEqual(grid.nodes.map(({ kind, name, state, slots }) => ({ kind, name, state, slots })), [
    { kind: "own", name: "Desk", state: "ready", slots: 1 },
    { kind: "peer", name: "Cellar", state: "ready", slots: 3 },
  ]);
  assert.deepEqual(grid.nodes[1]?.loss, { models: [MODEL], capacity_share: 0.75 });
  assert.deepEqual([grid.models[0]?.id, grid.models[0]?.copies, grid.models[0]?.nodes], [MODEL, 1, ["Cellar"]]);
  const shown = (await run(a, "grid")).stdout;
  assert.match(
    shown,
    /^2 nodes, 2 ready for 4 requests at once; 1 model, 1 of them on one node alone; .* of memory\.\n\n/,
  );
  assert.match(
    shown,
    /\nNODE +STATE +GPU +MEMORY +AT ONCE +RUNNING +MODELS +IF IT LEFT\nDesk \(this node\) +ready +- +/,
  );
  assert.match(shown, /\nCellar +ready +- .* free +3 +0 +1 +75 % of requests at once, arkling:9m-q4_0\n/);
  assert.match(shown, /\narkling:9m-q4_0 +5\.2 MB +1 +0 +Cellar +([0-9a-f]{12}|by name)\n/);
  // Its owner shows nothing but models: A told B nothing.
  const theirs = await json<DensityGrid>(b, "grid");
  assert.equal(theirs.nodes.find(({ kind }) => kind === "peer")?.hardware, null);
  assert.match((await run(b, "grid")).stdout, /1 node does not tell\.\n/);

  const answer = await fetch(`${a.ready.api}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: MODEL, prompt: PROMPT, max_tokens: 5, temperature: 0 }),
  });
  const id = answer.headers.get("x-request-id") ?? assert.fail();
  assert.equal((await answer.json()).usage.completion_tokens, 5);
  const missing = await run(a, "ask", "nothing", "x");
  assert.equal(missing.code, 1);

  const { requests } = await json<{ requests: LedgerEntry[] }>(a, "requests");
  assert.deepEqual(requests.map(({ from, model, outcome, tokens }) => ({ from, model, outcome, tokens })), [
    { from: "owner", model: MODEL, outcome: "ok", tokens: 5 },
    { from: "owner", model: "nothing", outcome: "model_not_found", tokens: 0 },
  ]);
  const [first] = requests;
  assert.ok(first !== undefined && first.first_token_ms !== null && first.total_ms !== null);
  assert.deepEqual([first.id, first.where, first.answered_by], [id, "peer", "Cellar"]);
  assert.deepEqual(first.steps.map(({ type }) => type), ["asked", "began"]);
  assert.deepEqual(first.candidates.map(({ key, name }) => [key, name]), [[b.id, "Cellar"]]);
  const table = (await run(a, "requests")).stdout;
  assert.match(table, /^TIME +FROM +MODEL +ANSWERED BY +TRIED +TOKENS +FIRST +TOTAL +OUTCOME\n/);
  assert.match(table, /\n\d\d:\d\d:\d\d +you +arkling:9m-q4_0 +Cellar +of 1 +\d+\+5 +[\d.]+ m?s +[\d.]+ m?s +ok\n/);
  const journey = (await run(a, "requests", id)).stdout;
  assert.match(journey, new RegExp(`^${id}: you asked ${MODEL} at .* UTC\n {2}candidate 1: Cellar, expected `));
  assert.match(journey, /Cellar was asked\n.*Cellar began to answer\n.*ended: ok, 5 tokens\n$/);
  assert.match((await run(a, "requests", "req_none")).stderr, /There is no request req_none among the last 2/);
  // The other side knows it as a request of a peer.
  const theirRequests = (await json<{ requests: LedgerEntry[] }>(b, "requests")).requests;
  assert.deepEqual(theirRequests.map(({ from, sender, outcome, tokens }) => [from, sender, outcome, tokens]), [
    ["peer", a.id, "ok", 5],
  ]);
  assert.match((await run(b, "requests")).stdout, new RegExp(`peer ${a.id.slice(0, 8)} +${MODEL} +this node`));
  for (const node of [a, b]) assert.ok(!(await run(node, "requests", "--json")).stdout.includes(PROMPT));

  // What the peer says of itself comes a little later.
  await until(async () => (await json<WhyModel>(a, "why", MODEL)).candidates[0]?.loaded === true);
  const why = await json<WhyModel>(a, "why", MODEL);
  assert.equal(why.sentence, `Cellar would answer ${MODEL} now: nobody else within reach has it.`);
  assert.deepEqual(why.candidates.map(({ name, where, loaded }) => [name, where, loaded]), [["Cellar", "peer", true]]);
  const told = (await run(a, "why", MODEL)).stdout;
  assert.match(
    told,
    /^Cellar would answer .*\n\nWHO +EXPECTED +IN MEMORY +RUNNING +WAITING +READS\/S +WRITES\/S +AWAY +SUCCESS\n/,
  );
  assert.match(
    told,
    /\nCellar +[\d.]+ s +yes +0 of \d+ +0 +.* ms +\d+ %\n\nThis node has no model arkling:9m-q4_0\.\n$/,
  );
  assert.equal((await run(a, "why")).code, 2);
  await a.json("peers", "pause", "Cellar");
  assert.equal(
    (await json<WhyModel>(a, "why", MODEL)).sentence,
    `Nobody within reach can answer ${MODEL} now; Cellar is paused by you.`,
  );
  assert.deepEqual((await json<DensityGrid>(a, "grid")).totals.ready, 1);
});

Deno.test("requests --follow shows each request once, when it has ended", async () => {
  await using node = await NodeProcess.start({ name: "N", args: ["--no-mdns", "--gpu", "off", "--models", FIXTURES] });
  const ask = (prompt: string) => run(node, "ask", MODEL, prompt, "--max-tokens", "2");
  assert.equal((await ask("before")).code, 0);
  const person = runForPerson(["requests", "--follow", "--data", node.ready.data]);
  const lines = () => person.screen.split("\n").filter((line) => /^\d\d:\d\d:\d\d /.test(line));
  await until(() => Promise.resolve(lines().length === 1));
  for (let count = 2; count <= 4; count++) {
    assert.equal((await ask("after")).code, 0);
    await until(() => Promise.resolve(lines().length === count));
  }
  assert.ok(lines().every((line) => / you +arkling:9m-q4_0 +this node .* ok$/.test(line)), person.screen);
  node.kill("SIGTERM");
  await node.ended();
  assert.equal(await person.finished, 1);
  assert.match(person.screen, /The answer broke off/);
});

Deno.test("requests refuses what cannot be", async () => {
  for (const args of [["--count", "0"], ["a", "b"], ["a", "--follow"]]) {
    assert.equal((await runMain(["requests", ...args, "--data", "/nowhere"])).code, 2, args.join(" "));
  }
});
