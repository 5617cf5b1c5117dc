import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { FIXTURES, MODEL } from "../mesh/test_node.ts";
import { NodeProcess } from "../support/node_process.ts";
import { runMain } from "./run_main.ts";

Deno.test("'peers reputation' shows what was seen of a peer, and forgets it when told", async () => {
  await using b = await NodeProcess.start({ name: "B", args: ["--no-mdns", "--gpu", "off", "--models", FIXTURES] });
  await using a = await NodeProcess.start({ name: "A", args: ["--no-mdns", "--peer", b.ready.mesh] });
  const onA = (...args: string[]) => runMain([...args, "--data", a.ready.data]);
  assert.match((await onA("peers", "reputation")).stdout, /^No peer is approved\.\n/);
  await until(async () => (await onA("peers", "discovered")).stdout.includes(b.ready.node_id));
  assert.equal((await onA("peers", "approve", b.ready.node_id, "--name", "Cellar")).code, 0);
  assert.equal((await runMain(["peers", "approve", a.ready.node_id, "--data", b.ready.data])).code, 0);
  await until(async () => (await onA("peers")).stdout.includes("ready"));
  assert.match((await onA("peers", "reputation", "Cellar")).stdout, /\nCellar +100 % +- +- +- .* 0\n$/);

  const asked = await onA("ask", MODEL, "Hello", "--max-tokens", "4");
  assert.deepEqual([asked.code, asked.stderr], [0, ""]);
  assert.match((await onA("peers", "reputation")).stdout, /\nCellar +100 % +100 % +100 % .* 1\n$/);
  const { stdout } = await onA("peers", "reputation", "--json");
  const [peer] = (JSON.parse(stdout) as { peers: { [name: string]: unknown }[] }).peers;
  assert.deepEqual([peer?.name, peer?.success, peer?.completeness], ["Cellar", 1, 1]);
  assert.equal(peer?.node_id, b.ready.node_id);

  const wrong = await onA("peers", "reputation", "--reset");
  assert.deepEqual([wrong.code, wrong.stdout], [2, ""]);
  assert.match((await onA("peers", "reputation", "Attic")).stdout, /^No approved peer fits Attic\.\n/);
  assert.match((await onA("peers", "reputation", "Cellar", "--reset")).stdout, /^What was seen of Cellar is forgotten/);
  assert.match((await onA("peers", "reputation", "Cellar")).stdout, /\nCellar +100 % +- +- .* 0\n$/);
});
