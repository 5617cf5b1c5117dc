import assert from "node:assert/strict";
import fc from "fast-check";
import { type GgufScalar, modelName } from "@ark/node/models";
import { decodeModelRef } from "@ark/node/protocol";

function named(metadata: Record<string, GgufScalar>, stem = "file", types: [string, number][] = []): string {
  const pairs = Object.entries(metadata).map(([key, value]) => [`general.${key}`, value] as const);
  const { name, tag } = modelName({ metadata: new Map(pairs), elementsByType: new Map(types) }, stem);
  return `${name}:${tag}`;
}

Deno.test("modelName() takes the metadata first", () => {
  assert.equal(named({ basename: "arkling", size_label: "9m", file_type: 2 }), "arkling:9m-q4_0");
  assert.equal(
    named({ basename: "Meta-Llama-3.1", size_label: "8B", finetune: "Instruct", file_type: 15 }),
    "meta-llama-3.1:8b-instruct-q4_k_m",
  );
  assert.equal(named({ name: "Llama 3.1 8B Instruct", file_type: 7 }), "llama-3.1:8b-instruct-q8_0");
  assert.equal(named({ name: "Qwen3 30B A3B", size_label: "30B-A3B", file_type: 1032 }), "qwen3:30b-a3b-q5_0");
});

Deno.test("modelName() takes the file's name where the metadata say nothing", () => {
  assert.equal(named({}, "arkling-9m-q4_0", [["f32", 10], ["q4_0", 90]]), "arkling:9m-q4_0");
  assert.equal(named({}, "Mixtral-8x7B-Instruct-v0.1.Q4_K_M", [["q4_k", 1]]), "mixtral:8x7b-instruct-v0.1-q4_k");
  assert.equal(named({}, "phi", []), "phi:latest");
  assert.equal(named({}, "!!!", []), "model:latest");
});

Deno.test("modelName() makes a short plain reference of whatever a file says", () => {
  const text = fc.string({ unit: "binary", maxLength: 300 });
  fc.assert(fc.property(text, text, text, text, fc.nat(2_000), (basename, size_label, finetune, stem, file_type) => {
    const id = named({ basename, size_label, finetune, file_type }, stem, [["q4_0", 1]]);
    assert.match(id, /^[a-z0-9._-]+:[a-z0-9._-]+$/);
    assert.equal(decodeModelRef(id), id);
  }));
});
