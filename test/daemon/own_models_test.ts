import assert from "node:assert/strict";
import { LocalBackend } from "@ark/node/inference";
import { ModelCatalogue } from "@ark/node/models";
import { ArkError } from "@ark/node/protocol";
import { ownModels } from "../../src/daemon/own_models.ts";
import { workerCommand } from "../inference/local_fixture.ts";

const MODEL = "arkling:9m-q4_0";

async function opened(directory: string) {
  const catalogue = new ModelCatalogue({ directories: [directory] });
  await catalogue.refresh();
  return { catalogue, backend: new LocalBackend({ catalogue, workerCommand: workerCommand("fake_worker") }) };
}

Deno.test("ownModels() finds, describes, loads and unloads the models of a catalogue", async () => {
  const { catalogue, backend } = await opened("test/fixtures");
  await using _ = backend;
  const keeper = ownModels({ catalogue, backend });
  assert.deepEqual([keeper.find("arkling:latest"), keeper.find("none")], [MODEL, null]);
  const described = await keeper.describe("arkling");
  assert.deepEqual([described.id, described.architecture, described.license], [MODEL, "llama", "apache-2.0"]);
  assert.match(described.template ?? "", /message/);
  assert.equal(described.metadata.get("llama.context_length"), 1_024);
  await assert.rejects(async () => await keeper.describe("none"), (error) => {
    return error instanceof ArkError && error.code === "model_not_found";
  });
  assert.deepEqual([keeper.pull, keeper.remove, keeper.copy], [undefined, undefined, undefined]);

  const { signal } = new AbortController();
  assert.deepEqual(keeper.running(), []);
  await keeper.load(MODEL, { keepAliveMs: null, signal });
  assert.deepEqual(keeper.running().map(({ id, expiresAt }) => [id, expiresAt]), [[MODEL, null]]);
  // A model may be in memory for two tasks, and is told once.
  await backend.load(MODEL, { task: "embed", keepAliveMs: 60_000 });
  assert.equal(backend.loaded().length, 2);
  const [both, ...rest] = keeper.running();
  assert.deepEqual([both?.expiresAt, rest], [null, []]);
  assert.equal(both?.bytes, backend.loaded().reduce((sum, { bytes }) => sum + bytes, 0));
  await keeper.unload(MODEL);
  assert.deepEqual(keeper.running(), []);
});

Deno.test("ownModels() says that a file is gone, and has a store do what only a store can", async () => {
  const directory = await Deno.makeTempDir({ prefix: "ark-own-" });
  try {
    await Deno.copyFile("test/fixtures/arkling-9m-q4_0.gguf", `${directory}/a.gguf`);
    const { catalogue, backend } = await opened(directory);
    await using _ = backend;
    const told: unknown[] = [];
    const models = {
      async *pull(ref: string) {
        await Promise.resolve();
        yield { status: `pulling ${ref}` };
      },
      remove: (...what: unknown[]) => Promise.resolve(void told.push(what)),
      copy: (...what: unknown[]) => Promise.resolve(void told.push(what)),
    };
    const keeper = ownModels({ catalogue, backend, models });
    await Deno.remove(`${directory}/a.gguf`);
    await assert.rejects(keeper.describe("arkling"), /cannot be read any more/);
    const progress = keeper.pull?.("x", new AbortController()) ?? [];
    assert.deepEqual(await Array.fromAsync(progress), [{ status: "pulling x" }]);
    await keeper.remove?.("x");
    await keeper.copy?.("a", "b");
    assert.deepEqual(told, [["x"], ["a", "b"]]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
