import assert from "node:assert/strict";
import { ConfigError, loadConfig } from "@ark/node/config";

async function endpoint(value: string | undefined): Promise<string | null> {
  const flags = { data: "/tmp/nowhere", ...value === undefined ? {} : { "trace-endpoint": value } };
  return (await loadConfig({ flags, env: () => undefined })).traceEndpoint;
}

Deno.test("--trace-endpoint is off by default, and names OTLP's own path where it has none", async () => {
  assert.equal(await endpoint(undefined), null);
  assert.equal(await endpoint("off"), null);
  assert.equal(await endpoint("http://127.0.0.1:4318"), "http://127.0.0.1:4318/v1/traces");
  assert.equal(await endpoint("http://127.0.0.1:4318/"), "http://127.0.0.1:4318/v1/traces");
  assert.equal(await endpoint("https://collector.example/otlp/traces"), "https://collector.example/otlp/traces");
});

Deno.test("--trace-endpoint refuses what is no address of a collector, and keys in it", async () => {
  for (const value of ["", "4318", "127.0.0.1:4318", "ftp://x/", "file:///etc", "http://user:key@x/", "http://x/#y"]) {
    if (value === "") assert.equal(await endpoint(value).catch(() => "refused"), "refused");
    else await assert.rejects(endpoint(value), ConfigError, value);
  }
});
