import assert from "node:assert/strict";
import { join } from "node:path";
import { EngineWorker } from "../support/engine_worker.ts";
import { loraBytes } from "./lora_fixture.ts";

Deno.test("The native engine uses additions to the model per request, also at once, and shares no state between them", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const loras = ["one", "two"].map((name) => ({ name, path: join(folder, `${name}.gguf`) }));
    for (const [seed, { path }] of loras.entries()) await Deno.writeFile(path, loraBytes(seed));
    await using worker = await EngineWorker.start({ engine: "native", slots: 3, loras });
    const prompt = "Server 0 is ready and the client waits for an answer of the node. ";
    const ask = (lora: { name: string; scale: number }[], principal = "a") =>
      worker.ask({ prompt, principal, parameters: { temperature: 0, max_tokens: 30, lora } });
    const sets = [[], [{ name: "one", scale: 1 }], [{ name: "two", scale: 1 }], [{ name: "one", scale: 0.2 }]];
    const alone = [];
    for (const set of sets) alone.push(await ask(set));
    assert.equal(new Set(alone.map(({ text }) => text)).size, sets.length);
    assert.deepEqual(alone.map(({ usage }) => usage.cached_tokens), [0, 0, 0, 0]);
    const again = await ask([{ name: "one", scale: 0.2 }]);
    assert.equal(again.usage.cached_tokens, again.usage.prompt_tokens - 1);
    assert.equal((await ask([{ name: "two", scale: 0 }], "d")).text, alone[0]?.text);
    const together = await Promise.all(sets.slice(0, 3).map((set, index) => ask(set, `p${index}`)));
    assert.deepEqual(together.map(({ text }) => text), alone.slice(0, 3).map(({ text }) => text));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("The native engine says which addition to the model does not belong to it", async () => {
  const loras = [{ name: "wrong", path: "test/fixtures/arkling-9m-q4_0.gguf" }];
  await assert.rejects(EngineWorker.start({ engine: "native", loras }), /the addition "wrong" cannot be loaded/);
});
