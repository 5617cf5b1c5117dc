import assert from "node:assert/strict";
import { TestNode } from "../mesh/test_node.ts";
import { badFiles } from "../models/bad_files.ts";
import { ggufBytes } from "../models/gguf_bytes.ts";
import { withDirectory } from "../support/temporary.ts";

Deno.test("T19: The loader is not started for any file that the parser refused", async () => {
  await withDirectory(async (directory) => {
    const bad = badFiles();
    for (const { name, bytes } of bad) await Deno.writeFile(`${directory}/${name}.gguf`, bytes);
    await Deno.writeFile(`${directory}/good.gguf`, ggufBytes());
    await using node = await TestNode.start({ name: "N", models: [directory] });
    const { body } = await node.admin<{ models: unknown[]; faults: { path: string; reason: string }[] }>("/models");
    assert.equal(body.models.length, 1);
    for (const { name } of bad) {
      const fault = body.faults.find(({ path }) => path.endsWith(`/${name}.gguf`));
      assert.match(fault?.reason ?? "", /^The file/, name);
      const response = await node.chat({ model: name });
      assert.equal(response.status, 404);
      assert.match((await response.json()).error.message, /^[A-Z].*\bmodel\b/);
    }
    assert.equal(node.workerLog(), "", "A worker was started");
    // The same way does start one for a good file: so the line above can fail.
    assert.equal((await (await node.chat({ model: "good" })).json()).choices.length, 1);
    assert.match(node.workerLog(), /fake:start/);
  });
});
