import assert from "node:assert/strict";
import { scanEndpoint } from "compatcanary";
import { FIXTURES, MODEL, Pair, TestNode } from "../test_node.ts";

async function assertAllPass(api: string): Promise<void> {
  const report = await scanEndpoint({ baseUrl: `${api}/v1`, model: MODEL });
  const results = report.results.map(({ id, status, summary }: Record<string, string>) =>
    `${id}: ${status} (${summary})`
  );
  assert.equal(results.length, 7);
  assert.deepEqual(results.filter((line: string) => !line.includes(": pass (")), []);
}

// The probes ask for form and not for sense, so the engine that answers by a rule passes as an able model would.
Deno.test("compatcanary finds nothing wrong with one node", async () => {
  await using node = await TestNode.start({ name: "A", models: [FIXTURES] });
  await assertAllPass(node.api);
});

Deno.test("compatcanary finds nothing wrong with a node whose model is on another", async () => {
  await using pair = await Pair.start();
  await assertAllPass(pair.a.api);
});
