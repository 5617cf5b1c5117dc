import assert from "node:assert/strict";
import { OwnHardware } from "../../src/daemon/own_hardware.ts";
import { until } from "../inference/local_fixture.ts";

const STEP = 2 ** 28;

function engine(gpus: (string | null)[], gpuMemory: number | null) {
  // deno-lint-ignore no-explicit-any
  return { loaded: () => gpus.map((gpu) => ({ gpu })) as any, gpuMemory };
}

Deno.test("OwnHardware shows peers nothing where the owner does not say so, and memory in coarse steps where he does", async () => {
  for (const show of [false, true]) {
    const hardware = new OwnHardware({ engine: null, gpu: "auto", show });
    const stop = new AbortController();
    const running = hardware.run(stop.signal);
    const own = await hardware.look();
    assert.ok(own.memory !== null && own.memory.total > 0, "Deno knows the memory of every machine");
    if (show) {
      await until(() => Promise.resolve(hardware.shown !== null));
      const { memory } = hardware.shown ?? assert.fail();
      assert.ok(memory !== null && memory.free % STEP === 0 && memory.free <= memory.total);
    }
    stop.abort();
    await running;
    if (!show) assert.equal(hardware.shown, null);
  }
});

Deno.test("OwnHardware knows a GPU that the owner names, or on which a model was loaded, also when that has left", async () => {
  assert.equal((await new OwnHardware({ engine: engine([null], null), gpu: "auto", show: false }).look()).gpu, null);
  assert.equal((await new OwnHardware({ engine: null, gpu: "off", show: false }).look()).gpu, null);
  const named = new OwnHardware({ engine: engine([], null), gpu: "vulkan", show: false });
  assert.deepEqual((await named.look()).gpu, { layer: "vulkan", memory: null });
  const gpus: (string | null)[] = ["cuda"];
  const found = new OwnHardware({ engine: engine(gpus, 5_000), gpu: "auto", show: false });
  assert.deepEqual((await found.look()).gpu, { layer: "cuda", memory: 5_000 });
  gpus.length = 0;
  assert.deepEqual((await found.look()).gpu, { layer: "cuda", memory: 5_000 });
});
