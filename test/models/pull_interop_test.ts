/** A pull from real and lookalike servers gives the very file, and engines that are not this node's load it. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { ModelCatalogue, ModelStore, OwnRecords } from "@ark/node/models";
import { withDirectory } from "../support/temporary.ts";
import { Nginx } from "../support/nginx.ts";
import { ModelServer, repository } from "./model_server.ts";
import { freePort, healthy } from "../support/server_port.ts";

const FIXTURE = "test/fixtures/arkling-9m-q4_0.gguf";
const FIXTURE_SHA256 = createHash("sha256").update(Deno.readFileSync(FIXTURE)).digest("hex");

/** Pulls a model into a store of its own, and hands over where it lies. */
async function pulled(ref: string, server: string, test: (path: string) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const root = join(await Deno.realPath(directory), "models");
    await Deno.mkdir(root);
    const records = new OwnRecords(root);
    const catalogue = new ModelCatalogue({ directories: [root], own: records });
    const store = new ModelStore({
      catalogue,
      records,
      huggingFaceEndpoint: server,
      ollamaRegistry: server,
      limits: { pauseMs: 1, reserveBytes: 0 },
    });
    await Array.fromAsync(store.pull(ref, { signal: new AbortController().signal }));
    const [model] = catalogue.list();
    assert.ok(model);
    assert.deepEqual(await Deno.readFile(model.path), await Deno.readFile(FIXTURE), "The file differs");
    await test(model.path);
  });
}

async function loadsInReference(path: string): Promise<void> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "test/models/reference_engine.ts", path],
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stdout).trim().split("\n").at(-1) ?? "";
  assert.ok(text.startsWith("{"), new TextDecoder().decode(stderr));
  assert.deepEqual(JSON.parse(text), { tokens: 4 });
}

/** llama.cpp's own server, where there is one. */
async function loadsInLlamaServer(path: string): Promise<void> {
  const program = Deno.env.get("LLAMA_SERVER") ?? "/tmp/native/build/bin/llama-server";
  const there = await Deno.stat(program).catch(() => null);
  if (there === null) {
    // deno-lint-ignore no-console
    console.log("No llama-server is tried: name one with LLAMA_SERVER=/path/to/llama-server");
    return;
  }
  const port = freePort();
  const child = new Deno.Command(program, {
    args: ["-m", path, "--host", "127.0.0.1", "--port", String(port), "-c", "128", "-t", "2"],
    env: { LD_LIBRARY_PATH: dirname(program) },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    const url = `http://127.0.0.1:${port}`;
    const deadline = performance.now() + 60_000;
    while (!await healthy(url)) {
      assert.ok(performance.now() < deadline, "llama-server does not load the model");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const response = await fetch(`${url}/completion`, {
      method: "POST",
      body: JSON.stringify({ prompt: "The sky", n_predict: 4, temperature: 0, ignore_eos: true }),
    });
    assert.equal((await response.json()).tokens_predicted, 4);
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
}

const missing = await Nginx.missing();
// deno-lint-ignore no-console
if (missing !== null) console.log(`A pull from nginx is not tried: ${missing}`);
Deno.test({
  name: "ModelStore.pull() fetches from nginx by ranges, and llama.cpp's own programs load what came",
  ignore: missing !== null,
  async fn() {
    await withDirectory(async (directory) => {
      await Deno.chmod(directory, 0o755);
      await Deno.copyFile(FIXTURE, join(directory, "m.gguf"));
      await Deno.chmod(join(directory, "m.gguf"), 0o644);
      await using nginx = await Nginx.start(`root ${directory};`);
      const server = `http://127.0.0.1:${nginx.port}`;
      // A first pull that was cut: what nginx itself says of the file makes it go on, and by a range.
      await withDirectory(async (other) => {
        const root = join(await Deno.realPath(other), "models");
        await Deno.mkdir(root);
        const catalogue = new ModelCatalogue({ directories: [root] });
        const store = new ModelStore({ catalogue, records: new OwnRecords(root), limits: { reserveBytes: 0 } });
        const ref = `${server}/m.gguf#sha256=${FIXTURE_SHA256}`;
        const leave = new AbortController();
        const cut = (async () => {
          for await (const { completed = 0 } of store.pull(ref, { signal: leave.signal })) {
            if (completed > 0) leave.abort();
          }
        })();
        await assert.rejects(cut, { code: "cancelled" });
        let began: number | undefined;
        for await (const { completed } of store.pull(ref, { signal: new AbortController().signal })) {
          began ??= completed;
        }
        assert.ok((began ?? 0) > 0, "It began anew");
      });
      await pulled(`${server}/m.gguf`, server, async (path) => {
        await loadsInReference(path);
        await loadsInLlamaServer(path);
      });
    });
  },
});

Deno.test("ModelStore.pull() from a lookalike of Hugging Face gives a file that the reference engine loads", async () => {
  await using server = ModelServer.start();
  repository(server, "some/arkling-GGUF", { "arkling-9m-q4_0.gguf": await Deno.readFile(FIXTURE) });
  server.mischief = [{ cutAfter: 1_000_000 }];
  server.victim = /^\/cdn\//;
  await pulled("hf.co/some/arkling-GGUF:Q4_0", server.url, loadsInReference);
  assert.ok(server.seen.some(({ range }) => range !== null), "What was cut goes on by a range");
});

Deno.test("ModelStore.pull() from an Ollama-style registry gives a file that the reference engine loads", async () => {
  await using server = ModelServer.start();
  const weights = await Deno.readFile(FIXTURE);
  const digest = `sha256:${FIXTURE_SHA256}`;
  const layer = { mediaType: "application/vnd.ollama.image.model", digest, size: weights.length };
  const manifest = { schemaVersion: 2, config: { digest, size: 2 }, layers: [layer] };
  server.files.set("/v2/library/arkling/manifests/9m", JSON.stringify(manifest));
  server.files.set(`/v2/library/arkling/blobs/${digest}`, weights);
  server.mischief = [{ cutAfter: 1_000_000 }];
  await pulled("arkling:9m", server.url, loadsInReference);
  assert.ok(server.seen.some(({ range }) => range !== null), "What was cut goes on by a range");
});

/** Seconds that some work takes. */
async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1_000;
}

Deno.test({
  name: "ModelStore.pull() of a gigabyte from nginx, beside what curl and the hash alone take (ARK_LONG=1)",
  ignore: missing !== null || Deno.env.get("ARK_LONG") !== "1",
  async fn() {
    await withDirectory(async (directory) => {
      await Deno.chmod(directory, 0o755);
      const size = 1 << 30;
      const path = join(directory, "m.gguf");
      {
        // What lies behind the tensors counts for the size and for the digest.
        using file = await Deno.open(path, { write: true, create: true, mode: 0o644 });
        await file.write(await Deno.readFile(FIXTURE));
        await file.truncate(size);
      }
      await using nginx = await Nginx.start(`root ${directory};`);
      const url = `http://127.0.0.1:${nginx.port}/m.gguf`;
      const root = join(await Deno.realPath(directory), "models");
      await Deno.mkdir(root);
      const records = new OwnRecords(root);
      const store = new ModelStore({ catalogue: new ModelCatalogue({ directories: [root] }), records });
      const curl = await secondsOf(() =>
        new Deno.Command("curl", { args: ["-s", "-o", join(directory, "curled"), url] }).output()
      );
      const chunk = new Uint8Array(1 << 20);
      const hash = createHash("sha256");
      const hashing = await secondsOf(async () => {
        for (let done = 0; done < size; done += chunk.length) hash.update(chunk);
        await Promise.resolve();
      });
      const pulling = await secondsOf(() => Array.fromAsync(store.pull(url, { signal: new AbortController().signal })));
      const speed = (seconds: number) => `${(size / 1e6 / seconds).toFixed(0)} MB/s`;
      // deno-lint-ignore no-console
      console.log(`pull ${speed(pulling)}, curl to the disk ${speed(curl)}, SHA-256 alone ${speed(hashing)}`);
      // The hash is what a pull cannot do without: all the rest together may cost once as much again.
      assert.ok(pulling < 2 * (hashing + curl), `${pulling} s beside ${hashing} s and ${curl} s`);
    });
  },
});
