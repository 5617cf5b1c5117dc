import assert from "node:assert/strict";
import { ownEnvironment, workerEnvironment } from "../../src/inference/worker_environment.ts";

Deno.test("workerEnvironment() keeps what the engine needs and nothing else", () => {
  const needed = { PATH: "/bin", HOME: "/root", LD_LIBRARY_PATH: "/lib", CUDA_VISIBLE_DEVICES: "0", GGML_X: "1" };
  const own = { ...needed, ARK_TOKEN: "secret", LD_PRELOAD: "/x.so", NODE_LLAMA_CPP_GPU: "cuda", DENO_V8_FLAGS: "--x" };
  const made = workerEnvironment(own, { EXTRA: "1" });
  assert.deepEqual(made, { ...needed, DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1", EXTRA: "1" });
});

Deno.test({
  name: "ownEnvironment() is content with what the node may read",
  permissions: { env: ["PATH"] },
  fn() {
    assert.deepEqual(Object.keys(ownEnvironment()), ["PATH"]);
  },
});
