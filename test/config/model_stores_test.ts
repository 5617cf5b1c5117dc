import assert from "node:assert/strict";
import { join } from "node:path";
import { loadConfig, type ModelStores } from "@ark/node/config";
import { withDirectory } from "../support/temporary.ts";

async function storesOf(variables: Record<string, string>): Promise<ModelStores> {
  const all: Record<string, string> = { ARK_DATA: "/srv/ark", ...variables };
  return (await loadConfig({ flags: {}, env: (name) => all[name] })).modelStores;
}

Deno.test("loadConfig() finds the stores of other programs where those have them, as far as they are there", async () => {
  await withDirectory(async (HOME) => {
    const ollama = join(HOME, ".ollama", "models");
    const cache = join(HOME, ".cache", "huggingface", "hub");
    const nothing = await storesOf({ HOME, OLLAMA_MODELS: join(HOME, "no"), HF_HOME: join(HOME, "no") });
    assert.equal(nothing.huggingFace, null);
    for (const path of [join(ollama, "manifests"), cache, join(HOME, "o", "manifests"), join(HOME, "h", "hub")]) {
      await Deno.mkdir(path, { recursive: true });
    }
    const usual = await storesOf({ HOME });
    assert.deepEqual([usual.ollama, usual.huggingFace], [ollama, cache]);
    const told = await storesOf({ HOME, OLLAMA_MODELS: join(HOME, "o"), HF_HOME: join(HOME, "h") });
    assert.deepEqual([told.ollama, told.huggingFace], [join(HOME, "o"), join(HOME, "h", "hub")]);
    const hub = await storesOf({ HOME, HF_HUB_CACHE: HOME, HF_HOME: join(HOME, "h") });
    assert.equal(hub.huggingFace, HOME);
    const shared = await storesOf({ HOME, XDG_CACHE_HOME: join(HOME, ".cache") });
    assert.equal(shared.huggingFace, cache);
    const off = await storesOf({ HOME, ARK_OLLAMA_MODELS: "off", ARK_HF_CACHE: "off" });
    assert.deepEqual([off.ollama, off.huggingFace], [null, null]);
  });
});

Deno.test("loadConfig() takes the address of Hugging Face from HF_ENDPOINT", async () => {
  assert.equal(
    (await storesOf({ HF_ENDPOINT: "http://127.0.0.1:1234/" })).huggingFaceEndpoint,
    "http://127.0.0.1:1234",
  );
  for (const bad of ["models", "file:///x", "https://a.example/?q"]) {
    await assert.rejects(storesOf({ HF_ENDPOINT: bad }), { name: "ConfigError", message: /HF_ENDPOINT/ });
  }
});
