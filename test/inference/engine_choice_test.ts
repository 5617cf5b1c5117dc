import assert from "node:assert/strict";
import type { EngineLoad } from "@ark/node/inference";
import { engineFor } from "../../src/inference/worker/engine_choice.ts";
import { EngineWorker } from "../support/engine_worker.ts";
import { TINY_LOAD } from "../support/tiny_load.ts";

/** A load whose build of llama.cpp has no libraries beside it. */
const WITHOUT: EngineLoad = {
  ...TINY_LOAD,
  binding: {
    path: `${Deno.cwd()}/test/fixtures/llama-addon.node`,
    extensions: null,
    build: false,
    gpu: false,
    release: { repo: "ggml-org/llama.cpp", release: "v0" },
  },
  context_size: 256,
  engine: "auto",
};

Deno.test("engineFor() takes the addon where the native engine's libraries are not there, unless that one is wanted", async () => {
  assert.equal((await engineFor(WITHOUT)).constructor.name, "AddonEngine");
  assert.equal((await engineFor({ ...WITHOUT, engine: "addon" })).constructor.name, "AddonEngine");
  await assert.rejects(engineFor({ ...WITHOUT, engine: "native" }), {
    message: /^the native engine cannot be used: there is no library like/,
  });
});

Deno.test("engineFor() leaves vectors and ranks to the addon", async () => {
  for (const task of ["embed", "rerank"] as const) {
    assert.equal((await engineFor({ ...WITHOUT, task })).constructor.name, "AddonEngine");
  }
});

Deno.test("The engine is the native one where nothing is said", async () => {
  await using worker = await EngineWorker.start({ engine: "auto" });
  assert.match(worker.loaded.engine, /, native$/);
});
