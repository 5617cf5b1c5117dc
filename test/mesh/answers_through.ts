import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import type { NodeProcess } from "../support/node_process.ts";
import { MODEL } from "./test_node.ts";

/** Two nodes that know each other approve each other, and `bob`, who has the model, answers a question asked at `a`. */
export async function answersThrough(a: NodeProcess, bob: NodeProcess): Promise<void> {
  await bob.json("peers", "approve", a.id.slice(0, 8), "--name", "alice");
  await a.json("peers", "approve", bob.id.slice(0, 8), "--name", "bob");
  await until(async () => (await a.json<{ models: unknown[] }>("models")).models.length > 0);
  const answer = await a.json<{ text: string; node: string; route: string }>(
    "ask",
    MODEL,
    "Tell me a story.",
    "--max-tokens",
    "20",
  );
  assert.deepEqual([answer.node, answer.route], ["bob", "peer"]);
  assert.ok(answer.text.length > 10, answer.text);
}
