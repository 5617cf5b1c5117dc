import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeHardware, decodeOffer } from "@ark/node/protocol";
import { anyJson } from "./json_values.ts";

const GIB = 2 ** 30;

Deno.test("decodeHardware() reads sizes and ways to compute, and nothing else of what a peer says", () => {
  const whole = { memory: { total: 16 * GIB, free: 4 * GIB }, gpu: { layer: "cuda", memory: 24 * GIB } };
  assert.deepEqual(decodeHardware(whole), whole);
  assert.deepEqual(
    decodeHardware({ memory: { ...whole.memory, host: "x" }, gpu: { ...whole.gpu, name: "\u001b[2J" }, cpu: "x" }),
    whole,
  );
  const cases: [unknown, unknown][] = [
    [{}, { memory: null, gpu: null }],
    [{ memory: { total: 1, free: 2 } }, { memory: { total: 1, free: 1 }, gpu: null }],
    [{ memory: { total: -1, free: 0 } }, { memory: null, gpu: null }],
    [{ memory: { total: 1e300, free: 0 } }, { memory: null, gpu: null }],
    [{ memory: 7, gpu: { layer: "quantum", memory: 1 } }, { memory: null, gpu: null }],
    [{ gpu: { layer: "metal", memory: "much" } }, { memory: null, gpu: { layer: "metal", memory: null } }],
  ];
  for (const [value, expected] of cases) assert.deepEqual(decodeHardware(value), expected, JSON.stringify(value));
  for (const value of [null, undefined, 7, "x", true]) assert.equal(decodeHardware(value), null);
});

Deno.test("decodeHardware() takes any JSON value, and what it gives it takes again", () => {
  fc.assert(fc.property(anyJson(), (value) => {
    const hardware = decodeHardware(value);
    assert.deepEqual(decodeHardware(JSON.parse(JSON.stringify(hardware))), hardware);
  }));
});

Deno.test("decodeOffer() tells hardware where the peer does", () => {
  const offer = { name: "B", ready: true, max_concurrent_requests: 1, models: [] };
  for (const quiet of [offer, { ...offer, hardware: "much" }]) assert.ok(!("hardware" in decodeOffer(quiet)));
  const hardware = { memory: { total: GIB, free: 0 }, gpu: null };
  assert.deepEqual(decodeOffer({ ...offer, hardware }).hardware, hardware);
});
