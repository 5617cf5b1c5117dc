import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { loadConfig } from "@ark/node/config";
import { ModelCatalogue, ModelStore, OwnRecords } from "@ark/node/models";
import { ArkError } from "@ark/node/protocol";
import { withDirectory } from "../support/temporary.ts";
import { ggufBytes } from "./gguf_bytes.ts";
import { ModelServer, repository } from "./model_server.ts";

const TINY = ggufBytes({ data: 300_000 });
const TOKEN = "hf_canary_5f1c";
const DIGEST = createHash("sha256").update(TINY).digest("hex");

interface Scene {
  hub: ModelServer;
  other: ModelServer;
  logged: string[];
  catalogue: ModelCatalogue;
  pull(ref: string): Promise<void>;
}

/** A lookalike of Hugging Face that gives nothing without the token, and another server that it may redirect to. */
async function withHub(token: string | null, test: (scene: Scene) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    await using hub = ModelServer.start();
    await using other = ModelServer.start();
    hub.gated = /^\/api\/|\/resolve\//;
    hub.token = TOKEN;
    const root = join(await Deno.realPath(directory), "models");
    await Deno.mkdir(root);
    const records = new OwnRecords(root);
    const logged: string[] = [];
    const catalogue = new ModelCatalogue({ directories: [root], own: records });
    const store = new ModelStore({
      catalogue,
      records,
      huggingFaceEndpoint: hub.url,
      huggingFaceToken: token,
      ollamaRegistry: other.url,
      limits: { pauseMs: 1, idleMs: 20_000, reserveBytes: 0, tries: 2 },
      logger: {
        info: (...line) => logged.push(JSON.stringify(line)),
        warn: (...line) => logged.push(JSON.stringify(line)),
      },
    });
    await test({
      hub,
      other,
      logged,
      catalogue,
      async pull(ref) {
        for await (const told of store.pull(ref, { signal: new AbortController().signal })) {
          logged.push(JSON.stringify(told));
        }
      },
    });
    for await (const { name, isFile } of Deno.readDir(root)) {
      if (isFile) assert.ok(!(await Deno.readTextFile(join(root, name))).includes(TOKEN), `${name} has the token`);
    }
    assert.ok(!logged.join("\n").includes(TOKEN), "The token is told nowhere");
  });
}

/** Moves the files of a repository to another server, as Hugging Face's storage is one. */
function storedElsewhere(hub: ModelServer, other: ModelServer): void {
  for (const [path, to] of hub.redirects) {
    const { pathname } = new URL(to);
    other.files.set(pathname, hub.files.get(pathname) ?? "");
    hub.files.delete(pathname);
    hub.redirects.set(path, other.url + pathname);
  }
}

Deno.test("ModelStore.pull() shows the token to Hugging Face, and to no server that it redirects to", async () => {
  await withHub(TOKEN, async ({ hub, other, catalogue, pull }) => {
    repository(hub, "gated/m-GGUF", { "m-q4_0.gguf": TINY });
    storedElsewhere(hub, other);
    // Cut once: what goes on shows it again, and still to the endpoint alone.
    other.victim = /^\/cdn\//;
    other.mischief = [{ cutAfter: 100_000 }];
    await pull("hf.co/gated/m-GGUF");
    assert.equal(catalogue.find("hf.co/gated/m-GGUF")?.digest, DIGEST);
    assert.equal(hub.seen.length, 3, "The list, and the file twice");
    assert.deepEqual(hub.seen.map(({ authorization }) => authorization), Array(3).fill(`Bearer ${TOKEN}`));
    assert.deepEqual(other.seen.map(({ authorization }) => authorization), [null, null]);
  });
});

Deno.test("ModelStore.pull() keeps the token back once a redirect left Hugging Face, also where it leads back", async () => {
  await withHub(TOKEN, async ({ hub, other, pull }) => {
    repository(hub, "gated/m-GGUF", { "m-q4_0.gguf": TINY });
    const [resolve = "", cdn = ""] = [...hub.redirects][0] ?? [];
    hub.redirects.set(resolve, `${other.url}/away`);
    other.redirects.set("/away", cdn);
    await pull("hf.co/gated/m-GGUF");
    assert.deepEqual(hub.asked(new URL(cdn).pathname).map(({ authorization }) => authorization), [null]);
    assert.deepEqual(other.asked("/away").map(({ authorization }) => authorization), [null]);
  });
});

Deno.test("ModelStore.pull() shows the token for a file's own address at Hugging Face, and to no other server", async () => {
  await withHub(TOKEN, async ({ hub, other, catalogue, pull }) => {
    hub.files.set("/gated/m/resolve/main/m.gguf", TINY);
    await pull(`${hub.url}/gated/m/resolve/main/m.gguf`);
    assert.equal(catalogue.find("m")?.digest, DIGEST);
    other.files.set("/n.gguf", TINY);
    await pull(`${other.url}/n.gguf`);
    await assert.rejects(pull("library/none:latest"), { code: "model_not_found" });
    assert.deepEqual(hub.seen.map(({ authorization }) => authorization), [`Bearer ${TOKEN}`]);
    assert.ok(other.seen.length >= 2 && other.seen.every(({ authorization }) => authorization === null));
  });
});

for (const [token, advice] of [[null, /HF_TOKEN or --hf-token-file/], ["wrong", /your token/]] as const) {
  Deno.test(`ModelStore.pull() says what to do where Hugging Face refuses ${token ?? "without a token"}`, async () => {
    await withHub(token, async ({ hub, pull }) => {
      repository(hub, "gated/m-GGUF", { "m-q4_0.gguf": TINY });
      await assert.rejects(pull("hf.co/gated/m-GGUF"), (error) => {
        assert.ok(error instanceof ArkError && error.code === "forbidden");
        assert.match(error.message, advice);
        return true;
      });
    });
  });
}

Deno.test("loadConfig() takes the token from a file or from HF_TOKEN, and shows it to nobody over plain http", async () => {
  await withDirectory(async (directory) => {
    const load = (flags: Record<string, string>, variables: Record<string, string> = {}) =>
      loadConfig({ flags, env: (name) => ({ ARK_DATA: "/srv/ark", HOME: directory, ...variables })[name] });
    const file = join(directory, "token");
    await Deno.writeTextFile(file, ` ${TOKEN}\n`);
    assert.equal((await load({})).modelStores.huggingFaceToken, null);
    assert.equal((await load({}, { HF_TOKEN: "hf_other" })).modelStores.huggingFaceToken, "hf_other");
    assert.equal((await load({ "hf-token-file": file }, { HF_TOKEN: "x" })).modelStores.huggingFaceToken, TOKEN);
    const refused: Parameters<typeof load>[] = [
      [{ "hf-token-file": join(directory, "none") }],
      [{}, { HF_TOKEN: "hf one" }],
      [{}, { HF_TOKEN: TOKEN, HF_ENDPOINT: "http://hub.example" }],
    ];
    for (const sources of refused) {
      await assert.rejects(
        load(...sources),
        (error: Error) => error.name === "ConfigError" && !error.message.includes("hf one"),
      );
    }
  });
});
