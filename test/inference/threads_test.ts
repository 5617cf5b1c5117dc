import assert from "node:assert/strict";
import { threadsFor } from "../../src/inference/worker/threads.ts";

Deno.test("threadsFor() gives a tiny model one thread and a large one all cores but one", () => {
  const large = { parameters: 8e9, bytes: 5e9 };
  assert.equal(threadsFor({ parameters: 9e6, bytes: 5e6, cores: 16 }), 1);
  assert.equal(threadsFor({ ...large, cores: 16 }), 15);
  assert.equal(threadsFor({ ...large, cores: 1 }), 1);
  assert.equal(threadsFor({ parameters: 99e6, bytes: 400e6, cores: 8 }), 1);
});
