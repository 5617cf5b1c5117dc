import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { isModelAlias, ModelCatalogue, OwnRecords, plainName } from "@ark/node/models";
import { type NamelessModel, nameModels } from "../../src/models/model_ids.ts";
import { fakeModel } from "../inference/local_fixture.ts";
import { withDirectory } from "../support/temporary.ts";
import { ggufBytes } from "./gguf_bytes.ts";

function nameless(
  name: string,
  { tag = "latest", stem = null, names = [] }: Partial<NamelessModel> = {},
): NamelessModel {
  const { id: _, aliases: __, ...model } = fakeModel(name);
  return { ...model, tag, stem, names };
}

Deno.test("nameModels() gives distinct ids, finds each by its own, and no second name takes a model's place", () => {
  const word = fc.constantFrom("a", "b", "c", "a-2", "hf.co/a/b");
  const tag = fc.constantFrom("latest", "1b", "1b-2", "2");
  const one = fc.record({
    name: word,
    tag,
    stem: fc.option(word),
    names: fc.array(fc.tuple(word, tag).map((parts) => parts.join(":")), { maxLength: 2 }),
  });
  const alias = fc.record({
    name: fc.oneof(word, fc.tuple(word, tag).map((parts) => parts.join(":"))),
    model: fc.oneof(word, fc.tuple(word, tag).map((parts) => parts.join(":"))),
  });
  fc.assert(
    fc.property(fc.array(one, { maxLength: 8 }), fc.array(alias, { maxLength: 6 }), (parts, aliases) => {
      const given = parts.map(({ name, ...rest }) => nameless(name, rest));
      const { models, find, conflicts } = nameModels(given, aliases);
      const ids = models.map(({ id }) => id);
      assert.equal(new Set(ids).size, given.length);
      assert.deepEqual(nameModels(given, aliases).models, models, "The same names each time");
      const owners = new Map<string, string>();
      for (const model of models) {
        assert.equal(find(model.id)?.id, model.id);
        assert.equal(find(model.id.toUpperCase())?.id, model.id);
        for (const name of model.aliases) {
          assert.ok(!ids.includes(name) && !ids.includes(`${plainName(name)}:latest`), `${name} shadows a model`);
          assert.equal(find(name)?.id, model.id);
          assert.ok(!owners.has(plainName(name)), `${name} has two owners`);
          owners.set(plainName(name), model.id);
        }
      }
      for (const { name } of conflicts) assert.ok(ids.includes(name) || ids.includes(`${plainName(name)}:latest`));
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("nameModels() lets a second name stand for another second name, and ignores one that means nothing", () => {
  const { models, find } = nameModels([nameless("a", { tag: "1b", names: ["hf.co/x/a"] })], [
    { name: "gpt", model: "a" },
    { name: "chat", model: "gpt" },
    { name: "gone", model: "nothing" },
  ]);
  assert.deepEqual(models[0]?.aliases, ["gpt", "chat", "hf.co/x/a"]);
  assert.deepEqual([find("chat:latest")?.id, find("gone")], ["a:1b", undefined]);
});

Deno.test("ModelCatalogue.shadowed() names the flag's names that are models' own, and those count as models", async () => {
  await withDirectory(async (root) => {
    await Deno.writeFile(join(root, "m.gguf"), ggufBytes());
    const aliases = [{ name: "tiny:1k-f32", model: "other" }, { name: "mini", model: "tiny" }];
    const catalogue = new ModelCatalogue({ directories: [root], aliases });
    assert.deepEqual(catalogue.shadowed(), []);
    await catalogue.refresh();
    assert.match(
      catalogue.shadowed().join(),
      /^The name tiny:1k-f32 is a model's own already: choose another one for other$/,
    );
    assert.equal(catalogue.find("mini")?.id, "tiny:1k-f32");
    assert.equal(catalogue.faults().length, 1);
  });
});

Deno.test("isModelAlias() takes what can be asked for, and nothing that could be taken for more", () => {
  for (const name of ["a", "gpt-4o", "llama3.1:8b", "hf.co/o/r:q4_k_m", "x".repeat(200)]) assert.ok(isModelAlias(name));
  for (const name of ["", "A", "a b", "../a", "a/../b", "a//b", "/a", "a:", "-a", "é", "a\n", "x".repeat(201)]) {
    assert.ok(!isModelAlias(name), JSON.stringify(name));
  }
});

Deno.test("OwnRecords says what is wrong with its file, and writes nothing over it", async () => {
  await withDirectory(async (root) => {
    const path = join(root, ".ark-models.json");
    const good = { ref: null, name: "named:1", files: [{ name: "m.gguf", size: 1, sha256: "0" }], defaults: {} };
    await Deno.writeFile(join(root, "m.gguf"), ggufBytes());
    const records = new OwnRecords(root);
    const catalogue = new ModelCatalogue({ directories: [root], own: records });
    const bad = [
      "{",
      "[]",
      '{"version":2}',
      JSON.stringify({ version: 1, models: { "m.gguf": { ...good, files: [{ name: 3 }] } } }),
      JSON.stringify({ version: 1, models: { "m.gguf": { ...good, defaults: { temperature: 99 } } } }),
    ];
    for (const text of bad) {
      await Deno.writeTextFile(path, text);
      await catalogue.refresh();
      assert.match(
        catalogue.faults()[0]?.reason ?? "",
        /^The list of fetched models cannot be used, .*: repair it/,
        text,
      );
      assert.deepEqual(catalogue.list().map(({ id }) => id), ["tiny:1k-f32"], "The model is there all the same");
      await assert.rejects(records.update((contents) => contents), { name: "ArkError", code: "unavailable" });
      assert.equal(await Deno.readTextFile(path), text);
    }
    await Deno.writeTextFile(
      path,
      JSON.stringify({ version: 1, models: { "m.gguf": good }, aliases: { "../x": "y" } }),
    );
    await catalogue.refresh();
    assert.deepEqual([catalogue.faults(), catalogue.list().map(({ id }) => id)], [[], ["named:1"]]);
    await Promise.all(
      ["a", "b", "c"].map((name) =>
        records.update(({ models, aliases }) => ({ models, aliases: { ...aliases, [name]: "named:1" } }))
      ),
    );
    await catalogue.refresh();
    assert.deepEqual(catalogue.find("named:1")?.aliases, ["a", "b", "c"]);
    assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
  });
});
