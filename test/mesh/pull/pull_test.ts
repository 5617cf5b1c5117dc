import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { CHUNK_BYTES } from "@ark/node/protocol";
import { until } from "../../inference/local_fixture.ts";
import { withDirectory } from "../../support/temporary.ts";
import { FIXTURES, MODEL, Pair, TestNode } from "../test_node.ts";
import { modelFile } from "./file_peer.ts";
import { follow, type Line, pull, seen } from "./pulling.ts";

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

Deno.test("What is here already is not fetched again, whoever else has it", async () => {
  await using pair = await Pair.start({ permissions: MAY_PULL });
  const { a, b } = pair;
  await until(() => typeof b.daemon.engine?.catalogue.find(MODEL)?.digest === "string");
  assert.deepEqual((await pull(a, MODEL)).at(-1), { status: "success" });
  await until(() => typeof a.daemon.engine?.catalogue.find(MODEL)?.digest === "string");
  const again = await pull(a, "arkling");
  assert.match(again.map(({ status }) => status).join("\n"), /arkling:9m-q4_0 is the very same: nothing is fetched/);
  assert.deepEqual(again.at(-1), { status: "success" });
});

Deno.test("A node that pulls gives what it has checked to another one that pulls the same", async () => {
  await withDirectory(async (directory) => {
    const bytes = modelFile(8 * CHUNK_BYTES);
    await Deno.writeFile(`${directory}/tiny.gguf`, bytes);
    await using b = await TestNode.start({ name: "B", models: [directory], flags: { "upload-limit": "8MB" } });
    await using a = await TestNode.start({ name: "A", peers: [b.mesh] });
    await using c = await TestNode.start({ name: "C", peers: [a.mesh, b.mesh] });
    for (const [one, other, name] of [[b, a, "A"], [b, c, "C"], [a, c, "C"]] as const) {
      await one.approve({ publicKey: other.publicKey, name }, MAY_PULL);
    }
    for (const [one, other, name] of [[a, b, "B"], [c, b, "B"], [c, a, "A"]] as const) {
      await one.approve({ publicKey: other.publicKey, name });
    }
    for (const node of [a, c]) await seen(node);
    const model = "tiny:1k-f32";
    await until(() => typeof b.daemon.engine?.catalogue.find(model)?.digest === "string");
    const first: Line[] = [];
    let second: Promise<Line[]> | undefined;
    for await (const line of follow(a, model)) {
      first.push(line);
      // The other one begins when there is a part to give.
      if ((line.completed ?? 0) >= 2 * CHUNK_BYTES) second ??= pull(c, model);
    }
    const then = await second ?? [];
    for (const lines of [first, then]) {
      assert.deepEqual(lines.at(-1), { status: "success" }, JSON.stringify(lines.at(-1)));
    }
    const sources = new Set(then.flatMap(({ sources = [] }) => sources.map(({ name }) => name)));
    assert.deepEqual([...sources].sort(), ["A", "B"], "The one that had a part gave it");
    const path = c.daemon.engine?.catalogue.find(model)?.path ?? "";
    assert.equal(
      createHash("sha256").update(await Deno.readFile(path)).digest("hex"),
      createHash("sha256").update(bytes).digest("hex"),
    );
  });
});
