import assert from "node:assert/strict";
import { until } from "../../inference/local_fixture.ts";
import { FIXTURES, MODEL, Pair } from "../test_node.ts";
import { pull } from "./pulling.ts";

const MAY_PULL = { can_pull_models: true };

Deno.test("A model that an approved peer lets this node download is here after a pull, the very same file", async () => {
  await using pair = await Pair.start({ permissions: MAY_PULL });
  const { a, b } = pair;
  await until(() => typeof b.daemon.engine?.catalogue.find(MODEL)?.digest === "string");
  const lines = await pull(a, MODEL);
  assert.deepEqual(lines.at(-1), { status: "success" }, JSON.stringify(lines));
  const model = a.daemon.engine?.catalogue.find(MODEL);
  assert.ok(model);
  assert.equal(model.source, "own");
  assert.deepEqual(await Deno.readFile(model.path), await Deno.readFile(`${FIXTURES}/arkling-9m-q4_0.gguf`));
  const told = lines.find(({ sources }) => (sources?.length ?? 0) > 0);
  assert.equal(told?.sources?.[0]?.name, "B");
  assert.match(lines.map(({ status }) => status).join("\n"), /found sha256 [0-9a-f]{12} at B/);
});
