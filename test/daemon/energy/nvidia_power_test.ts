import assert from "node:assert/strict";
import fc from "fast-check";
import { parseNvidiaPower } from "../../../src/daemon/energy/nvidia_power.ts";

Deno.test("parseNvidiaPower() adds up the watts of all GPUs", () => {
  assert.equal(parseNvidiaPower("71.59\n"), 71.59);
  assert.equal(parseNvidiaPower("71.50\r\n 320.25\n\n"), 391.75);
  assert.equal(parseNvidiaPower("0.00"), 0);
});

Deno.test("parseNvidiaPower() knows nothing where one GPU does not say, or something else is printed", () => {
  const others = [
    "",
    "\n",
    "[N/A]",
    "[Not Supported]\n",
    "71.59\n[N/A]\n",
    "71.59 W",
    "power.draw [W]\n71.59",
    "-3.00",
    "1e3",
    "0x10",
    "NaN",
    "Infinity",
    "10001.00",
    "999999",
    "7\0",
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
    "1.00\n".repeat(65),
  ];
  for (const text of others) assert.equal(parseNvidiaPower(text), null, JSON.stringify(text));
});

Deno.test("parseNvidiaPower() returns a sensible number or nothing, whatever is printed", () => {
  const pieces = fc.constantFrom("7", "1.5", ".", "-", "\n", "[N/A]", " ", "e", "99999", "W", "\0", "٣");
  fc.assert(fc.property(fc.oneof(fc.string(), fc.array(pieces).map((all) => all.join(""))), (text) => {
    const watts = parseNvidiaPower(text);
    assert.ok(watts === null || (watts >= 0 && watts <= 640_000));
  }));
});
