import assert from "node:assert/strict";
import fc from "fast-check";
import { RequestFault } from "../../../src/http/api/request_fault.ts";
import { keepAliveMs } from "../../../src/http/ollama/keep_alive.ts";

Deno.test("keepAliveMs() reads what Ollama's clients send", () => {
  const cases: [unknown, number | null | undefined][] = [
    [undefined, undefined],
    [null, undefined],
    ["", undefined],
    [0, 0],
    ["0", 0],
    ["0s", 0],
    [300, 300_000],
    [1.5, 1_500],
    [-1, null],
    [-0.5, null],
    ["-1", null],
    ["-1m", null],
    ["5m", 300_000],
    ["+5m", 300_000],
    [" 5m ", 300_000],
    ["24h", 86_400_000],
    ["1h30m", 5_400_000],
    ["1.5h", 5_400_000],
    [".5s", 500],
    ["1m30.5s", 90_500],
    ["250ms", 250],
    ["2000us", 2],
    ["2000µs", 2],
    ["2000μs", 2],
    ["300", 300_000],
    [1e300, null],
    ["999999999h", null],
  ];
  for (const [value, expected] of cases) assert.equal(keepAliveMs(value), expected, String(value));
});

Deno.test("keepAliveMs() refuses what is no duration", () => {
  const wrong = [
    "m",
    "5 m",
    "5x",
    "5m5",
    "--5m",
    "1h-5m",
    "5m!",
    "five",
    "5d",
    true,
    [],
    {},
    NaN,
    "1".repeat(100),
  ];
  for (const value of wrong) {
    assert.throws(() => keepAliveMs(value), RequestFault, String(value));
  }
});

Deno.test("keepAliveMs() reads every duration that Go writes, and nothing makes it fail otherwise", () => {
  const units = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };
  const part = fc.tuple(fc.nat(1_000), fc.constantFrom<keyof typeof units>("h", "m", "s", "ms"));
  fc.assert(fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
    const text = parts.map(([amount, unit]) => amount + unit).join("");
    const ms = parts.reduce((sum, [amount, unit]) => sum + amount * units[unit], 0);
    assert.equal(keepAliveMs(text), ms);
    assert.equal(keepAliveMs(`-${text}`), ms === 0 ? 0 : null);
  }));
  fc.assert(fc.property(fc.oneof(fc.string(), fc.double(), fc.anything()), (value) => {
    try {
      const ms = keepAliveMs(value);
      assert.ok(ms === null || ms === undefined || ms >= 0);
    } catch (error) {
      assert.ok(error instanceof RequestFault);
    }
  }));
});
