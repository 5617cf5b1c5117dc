import assert from "node:assert/strict";
import type { ModelManifest } from "@ark/node/protocol";
import { recordOf } from "../../../src/models/blobs/manifest_record.ts";

const MANIFEST: ModelManifest = {
  version: 1,
  model: "Tiny:9M",
  files: [],
  template: "{{ .Prompt }}",
  system: "Be kind.",
  parameters: { temperature: 0.5, logprobs: 3 },
  license: "Do good.",
  made_at: new Date(0).toISOString(),
};

Deno.test("recordOf() keeps what a manifest says of a model, under its name or the one that it gets here", () => {
  const record = {
    ref: null,
    name: "tiny:9m",
    template: "{{ .Prompt }}",
    system: "Be kind.",
    defaults: { temperature: 0.5 },
    license: "Do good.",
  };
  assert.deepEqual(recordOf(MANIFEST), record);
  assert.deepEqual(recordOf(MANIFEST, "mine/tiny:9m"), { ...record, name: "mine/tiny:9m" });
});

Deno.test("recordOf() takes no name that would be none here, and no empty text", () => {
  const { name, template, system, license } = recordOf({
    ...MANIFEST,
    model: "../tiny",
    template: "",
    system: " ",
    license: null,
  });
  assert.deepEqual({ name, template, system, license }, {
    name: null,
    template: null,
    system: null,
    license: undefined,
  });
});
