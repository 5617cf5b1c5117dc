import assert from "node:assert/strict";
import { ConfigError } from "@ark/node/config";
import { upstreams } from "../../src/config/upstreams.ts";

const env = (name: string) => ({ ARK_UPSTREAM_KEY_BOX: " from-env\n" })[name];

Deno.test("upstreams() reads names, addresses, and keys from files or the environment", async () => {
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, "from-file\n");
  const found = await upstreams({
    urls: ["http://127.0.0.1:8080", "box=https://ai.example/v1", "nas=http://10.0.0.5:11434"],
    keyFiles: [`nas=${file}`],
    env,
  });
  assert.deepEqual(found, [
    { name: "127.0.0.1:8080", url: "http://127.0.0.1:8080/", key: null },
    { name: "box", url: "https://ai.example/v1", key: "from-env" },
    { name: "nas", url: "http://10.0.0.5:11434/", key: "from-file" },
  ]);
  await Deno.remove(file);
});

for (
  const [what, sources] of [
    ["no address", { urls: ["box"] }],
    ["another scheme", { urls: ["ftp://a"] }],
    ["a password in an address", { urls: ["http://ann:secret@a"] }],
    ["a query", { urls: ["http://a?key=1"] }],
    ["a name twice", { urls: ["a=http://b", "a=http://c"] }],
    ["a key for nobody", { keyFiles: ["box=/tmp/x"] }],
    ["a key file without a name", { urls: ["http://a"], keyFiles: ["/tmp/x"] }],
    ["a key file that is not there", { urls: ["a=http://b"], keyFiles: ["a=/nowhere/key"] }],
  ] as const
) {
  Deno.test(`upstreams() refuses ${what}, and shows no password`, async () => {
    await assert.rejects(upstreams({ urls: [], keyFiles: [], env: () => undefined, ...sources }), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
  });
}
