import assert from "node:assert/strict";
import { loadConfig } from "@ark/node/config";
import { Logger } from "@ark/node/telemetry";
import { ConfigWatch } from "../../src/daemon/config_watch.ts";
import { until } from "../inference/local_fixture.ts";

Deno.test("ConfigWatch puts safe changes into effect, tells of the others, and survives a file that cannot be used or comes later", async () => {
  const root = await Deno.makeTempDir({ prefix: "ark-config-" });
  const path = `${root}/ark.toml`;
  const load = () => loadConfig({ flags: { data: root }, env: () => undefined });
  const lines: string[] = [];
  const applied: string[] = [];
  const stop = new AbortController();
  const running = new ConfigWatch({
    config: await load(),
    file: path,
    load,
    apply: ({ logLevel, allowOrigins }) => applied.push(`${logLevel} ${allowOrigins}`),
    logger: new Logger({ write: (line) => lines.push(line) }),
    everyMs: 5,
  }).run(stop.signal);
  const write = async (text: string) => {
    await Deno.writeTextFile(`${path}.new`, text);
    await Deno.rename(`${path}.new`, path);
  };
  // Written until it is seen: the first look may come after the first change.
  await until(async () => {
    await write(`log-level = "debug"\nallow-origin = ["https://a.example"]\n`);
    return applied.includes("debug https://a.example");
  });
  await write(`log-level = "nonsense"\n`);
  await until(() => lines.some((line) => /is not used: Cannot use --log-level nonsense/.test(line)));
  await write(`log-level = "debug"\nallow-origin = ["https://a.example"]\nname = "other"\n`);
  await until(() => lines.some((line) => /name count from the next start/.test(line)));
  assert.equal(applied.length, 1);
  stop.abort();
  await running;
  await Deno.remove(root, { recursive: true });
});
