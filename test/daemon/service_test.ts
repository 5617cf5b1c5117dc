import assert from "node:assert/strict";
import { Logger } from "@ark/node/telemetry";
import { supervise } from "../../src/daemon/service.ts";
import { until } from "../inference/local_fixture.ts";

Deno.test("supervise() starts a failed service again while the others go on, and ends with its signal", async () => {
  const stop = new AbortController();
  const lines: string[] = [];
  const logger = new Logger({ write: (line) => void lines.push(line) });
  let [starts, healthy] = [0, 0];
  const aborted = (signal: AbortSignal) =>
    new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  const running = supervise([
    {
      name: "flaky",
      run: async (signal) => {
        if (++starts === 1) throw new Error("it broke");
        await aborted(signal);
      },
    },
    { name: "healthy", run: (signal) => (healthy++, aborted(signal)) },
  ], { signal: stop.signal, logger });
  await until(() => starts === 2);
  stop.abort();
  await running;
  assert.deepEqual([starts, healthy], [2, 1]);
  assert.match(lines.join("\n"), /started again.*it broke/);
});
