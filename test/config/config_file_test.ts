import assert from "node:assert/strict";
import { CONFIG_PRESETS, ConfigError, configSchema, loadConfig, readConfigFile, SERVE_FLAGS } from "@ark/node/config";
import { Ajv2020 } from "ajv/dist/2020.js";

/** A data directory in which a file lies. */
async function folder(files: Record<string, string>): Promise<AsyncDisposable & { root: string }> {
  const root = await Deno.makeTempDir({ prefix: "ark-config-" });
  for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${root}/${name}`, text);
  return { root, [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }) };
}

function load(flags: Record<string, string | boolean | string[]>, variables: Record<string, string> = {}) {
  return loadConfig({ flags, env: (name) => variables[name] });
}

Deno.test("A configuration file in the data directory counts after flags and environment, and before its preset", async () => {
  await using dir = await folder({
    "ark.toml": `name = "nas"\npreset = "nas"\nmax_loaded = 3\nmodels = ["/a", "/b"]\nno-mdns = true\nslots = 2\n`,
  });
  const config = await load({ data: dir.root, slots: "7" }, { ARK_NAME: "env" });
  assert.equal(config.file, `${dir.root}/ark.toml`);
  assert.equal(config.name, "env");
  assert.equal(config.slots, 7);
  assert.equal(config.maxLoaded, 3);
  assert.equal(config.gpu, "off");
  assert.deepEqual(config.modelDirectories.slice(1), ["/a", "/b"]);
  assert.ok(!config.mdns);
  assert.ok((await load({ data: dir.root }, { ARK_NO_MDNS: "0" })).mdns);
});

Deno.test("A named configuration file may be JSON and may say where the data are", async () => {
  await using data = await folder({});
  await using dir = await folder({
    "node.json": JSON.stringify({ $schema: "x", data: data.root, "allow-origin": "https://ui.example", drain: 5 }),
  });
  const config = await load({ config: `${dir.root}/node.json` });
  assert.equal(config.paths.root, data.root);
  assert.deepEqual(config.allowOrigins, ["https://ui.example"]);
  assert.equal(config.drainMs, 5_000);
});

for (
  const [text, sentence] of [
    ['listn = "127.0.0.1"', /unknown setting listn, did you mean listen$/],
    ["no-mdns = 1", /no-mdns must be true or false$/],
    ["name = true", /name must be a text such as NAME$/],
    ["models = [1, true]", /models must be a list of texts$/],
    ["name = ", /^Cannot read the configuration .*ark\.toml: /],
    ["preset = 'toaster'", /^Cannot use --preset toaster: it is one of nas, /],
    ["__proto__ = 1", /unknown setting __proto__/],
    ["slots = 0", /^Cannot use --slots 0: /],
  ] as const
) {
  Deno.test(`A configuration file with ${text} is refused with one sentence`, async () => {
    await using dir = await folder({ "ark.toml": text });
    await assert.rejects(load({ data: dir.root }), (error) => {
      assert.ok(error instanceof ConfigError, String(error));
      assert.match(error.message, sentence);
      assert.ok(!error.message.includes("\n"));
      return true;
    });
  });
}

Deno.test("Two configuration files, a missing one and one that is no object are refused", async () => {
  await using dir = await folder({ "ark.toml": "", "ark.json": "{}" });
  await assert.rejects(load({ data: dir.root }), /two configurations/);
  await assert.rejects(load({ data: dir.root, config: `${dir.root}/none.toml` }), /there is no such file$/);
  await using list = await folder({ "ark.json": "[]" });
  await assert.rejects(readConfigFile(`${list.root}/ark.json`, SERVE_FLAGS), /must be an object of settings$/);
});

Deno.test("configSchema() takes what can be used, and refuses what cannot", () => {
  const validate = new Ajv2020({ strict: false }).compile(configSchema(SERVE_FLAGS));
  assert.ok(validate({ name: "a", models: ["/a"], slots: 2, "no-mdns": true, preset: "nas" }));
  for (const wrong of [{ listn: "x" }, { "no-mdns": "yes" }, { models: [true] }, { preset: "toaster" }, []]) {
    assert.ok(!validate(wrong), JSON.stringify(wrong));
  }
});

Deno.test("Every preset can be used, alone and under a flag", async () => {
  await using dir = await folder({});
  for (const preset of Object.keys(CONFIG_PRESETS)) {
    const config = await load({ data: dir.root, preset, role: "compute,gateway" });
    assert.deepEqual(config.roles, ["compute", "gateway"]);
    await load({ data: dir.root, preset });
  }
});
