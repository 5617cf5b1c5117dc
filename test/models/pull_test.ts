import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { ModelCatalogue, ModelStore, OwnRecords, type PullProgress } from "@ark/node/models";
import { ArkError } from "@ark/node/protocol";
import { withDirectory } from "../support/temporary.ts";
import { ggufBytes, METADATA } from "./gguf_bytes.ts";
import { ModelServer, repository } from "./model_server.ts";

const FIXTURE = "test/fixtures/arkling-9m-q4_0.gguf";
const TINY = ggufBytes({ data: 300_000 });
const LIMITS = { pauseMs: 1, idleMs: 20_000, reserveBytes: 0 };

interface Scene {
  server: ModelServer;
  root: string;
  catalogue: ModelCatalogue;
  store: ModelStore;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function withScene(
  test: (scene: Scene) => Promise<void>,
  options: Partial<ConstructorParameters<typeof ModelStore>[0]> = {},
): Promise<void> {
  await withDirectory(async (directory) => {
    await using server = ModelServer.start();
    const root = join(await Deno.realPath(directory), "models");
    await Deno.mkdir(root);
    const records = new OwnRecords(root);
    const catalogue = new ModelCatalogue({ directories: [root], own: records });
    const store = new ModelStore({
      catalogue,
      records,
      huggingFaceEndpoint: server.url,
      ollamaRegistry: server.url,
      ...options,
      limits: { ...LIMITS, ...options.limits },
    });
    await test({ server, root, catalogue, store });
  });
}

async function pull(store: ModelStore, ref: string, signal = new AbortController().signal): Promise<PullProgress[]> {
  const told: PullProgress[] = [];
  for await (const progress of store.pull(ref, { signal })) told.push(progress);
  return told;
}

async function refused(work: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof ArkError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  });
}

/** Every file below a folder but the list, with its size. */
async function filesBelow(directory: string, prefix = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    if (isDirectory) found.push(...await filesBelow(join(directory, name), `${prefix}${name}/`));
    else if (name !== ".ark-models.json") found.push(prefix + name);
  }
  return found.sort();
}

Deno.test("ModelStore.pull() fetches the usual quantisation of a repository, and the model works under its name", async () => {
  await withScene(async ({ server, root, catalogue, store }) => {
    const real = await Deno.readFile(FIXTURE);
    repository(server, "some/arkling-GGUF", {
      "arkling-9m-q4_0.gguf": real,
      "arkling-9m-q8_0.gguf": TINY,
      "mmproj-arkling-f16.gguf": TINY,
    });
    const told = await pull(store, "hf.co/some/arkling-GGUF");
    assert.deepEqual(told[0], { status: "pulling manifest" });
    assert.deepEqual(told.at(-1), { status: "success" });
    const last = told.findLast(({ completed }) => completed !== undefined);
    const digest = sha256(real);
    assert.deepEqual(last, {
      status: `pulling ${digest.slice(0, 12)}`,
      digest: `sha256:${digest}`,
      total: real.length,
      completed: real.length,
    });
    const model = catalogue.find("hf.co/some/arkling-GGUF");
    assert.ok(model);
    assert.equal(model.id, "arkling:9m-q4_0");
    assert.equal(model.source, "own");
    assert.equal(model.digest, digest, "The digest that was computed on the way is not computed again");
    assert.deepEqual(await filesBelow(root), ["hf.co/some/arkling-GGUF/arkling-9m-q4_0.gguf"]);
    const again = await pull(store, "https://huggingface.co/some/arkling-GGUF:q4_0");
    assert.deepEqual(again.at(-1), { status: "success" });
    assert.equal(server.asked("/cdn/some/arkling-GGUF/arkling-9m-q4_0.gguf").length, 1, "What is there is not fetched");
  });
});

Deno.test("ModelStore.pull() names what a repository has where the choice is not there", async () => {
  await withScene(async ({ server, store }) => {
    repository(server, "o/r", { "m-Q4_K_M.gguf": TINY, "m-Q8_0.gguf": TINY });
    await refused(pull(store, "hf.co/o/r:Q4_K"), "model_not_found", /o\/r has no "Q4_K"; it has m-Q4_K_M, m-Q8_0/);
    await refused(pull(store, "hf.co/o/none"), "model_not_found", /has not the list of files of o\/none \(404\)/);
    repository(server, "o/empty", {});
    await refused(pull(store, "hf.co/o/empty"), "model_not_found", /no whole GGUF file/);
    repository(server, "o/half", { "m-00001-of-00002.gguf": TINY });
    await refused(pull(store, "hf.co/o/half"), "model_not_found", /no whole GGUF file/);
  });
});

Deno.test("ModelStore.pull() fetches all parts of a split model, and what is there of it counts", async () => {
  await withScene(async ({ server, root, catalogue, store }) => {
    const part = (no: number) =>
      ggufBytes({
        pairs: [...no === 0 ? METADATA : [], ["split.no", { u32: no }], ["split.count", { u32: 2 }]],
        tensors: [{ name: `t${no}`, dimensions: [32, 2], type: 0, offset: 0 }],
      });
    const files = { "q8_0/big-00001-of-00002.gguf": part(0), "q8_0/big-00002-of-00002.gguf": part(1) };
    repository(server, "o/r", files);
    await pull(store, "hf.co/o/r:Q8_0");
    const model = catalogue.find("hf.co/o/r:q8_0");
    assert.ok(model);
    assert.deepEqual(model.files.map((file) => file.slice(root.length)), [
      "/hf.co/o/r/q8_0/big-00001-of-00002.gguf",
      "/hf.co/o/r/q8_0/big-00002-of-00002.gguf",
    ]);
    assert.match(model.digest ?? "", /^[0-9a-f]{64}$/);
    await Deno.remove(model.files[1] ?? "");
    await catalogue.refresh();
    assert.equal(catalogue.find("hf.co/o/r:q8_0"), undefined);
    assert.match(catalogue.faults()[0]?.reason ?? "", /in 2 files, and part 2 is missing/);
    await pull(store, "hf.co/o/r:Q8_0");
    assert.equal(catalogue.find("hf.co/o/r:q8_0")?.digest, model.digest);
    assert.deepEqual(Object.keys(files).map((name) => server.asked(`/cdn/o/r/${name}`).length), [1, 2]);
  });
});

Deno.test("ModelStore.pull() goes on where the connection was cut", async () => {
  await withScene(async ({ server, catalogue, store }) => {
    server.files.set("/m.gguf", TINY);
    server.mischief = [{ cutAfter: 100_000 }, { status: 503 }, { cutAfter: 50_000 }, null];
    await pull(store, `${server.url}/m.gguf`);
    assert.equal(catalogue.find("m")?.digest, sha256(TINY));
    const asked = server.asked("/m.gguf");
    assert.equal(asked.length, 4);
    assert.equal(asked[0]?.range, null);
    const offsets = asked.slice(1).map(({ range }) => Number(/\d+/.exec(range ?? "")));
    assert.ok(offsets.every((offset) => offset > 0) && (offsets[2] ?? 0) > (offsets[0] ?? 0), String(offsets));
    assert.ok(asked.slice(1).every(({ ifRange }) => ifRange === '"tag-of-7"'));
  });
});

Deno.test("ModelStore.pull() gives up after five tries, keeps what came, and goes on the next time", async () => {
  await withScene(async ({ server, root, catalogue, store }) => {
    server.files.set("/m.gguf", TINY);
    const ref = `${server.url}/m.gguf#sha256=${sha256(TINY)}`;
    server.mischief = Array.from({ length: 5 }, () => ({ cutAfter: 40_000 }));
    await refused(pull(store, ref), "unavailable", /failed 5 times .* what came is kept/);
    assert.equal(server.asked("/m.gguf").length, 5);
    assert.deepEqual(catalogue.list(), []);
    const [part] = (await filesBelow(root)).filter((name) => name.endsWith(".part"));
    const { size } = await Deno.stat(join(root, part ?? ""));
    assert.ok(size > 0);
    // Another process comes later.
    const records = new OwnRecords(root);
    await pull(new ModelStore({ catalogue, records, limits: LIMITS }), ref);
    assert.equal(server.asked("/m.gguf").at(-1)?.range, `bytes=${size}-`);
    assert.equal(catalogue.find("m")?.digest, sha256(TINY));
    assert.equal((await filesBelow(root)).length, 1);
  });
});

Deno.test("ModelStore.pull() begins anew where the file at the server became another one", async () => {
  await withScene(async ({ server, catalogue, store }) => {
    // Of the same length: only the tag tells.
    const other = TINY.map((byte, index) => index < TINY.length - 250_000 ? byte : 7);
    server.files.set("/m.gguf", TINY);
    server.mischief = [{ cutAfter: 100_000 }];
    const work = pull(store, `${server.url}/m.gguf`);
    server.tags.set("/m.gguf", '"first"');
    const deadline = performance.now() + 30_000;
    while (server.seen.length < 1) {
      assert.ok(performance.now() < deadline);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    server.files.set("/m.gguf", other);
    server.tags.set("/m.gguf", '"second"');
    await work;
    assert.equal(catalogue.find("m")?.digest, sha256(other));
  });
});

Deno.test("ModelStore.pull() never installs what has not the digest that it should have", async () => {
  await withScene(async ({ server, root, catalogue, store }) => {
    server.files.set("/m.gguf", TINY);
    repository(server, "o/r", { "m-q8_0.gguf": TINY });
    const digest = sha256(TINY);
    for (let run = 0; run < 40; run++) {
      server.mischief = [{ flipAt: (run * 7_919) % TINY.length, ...run % 4 === 3 ? { cutAfter: 290_000 } : {} }];
      const ref = run % 2 === 0 ? `${server.url}/m.gguf#sha256=${digest}` : "hf.co/o/r";
      const work = pull(store, ref);
      // A bad beginning is thrown away and fetched again; a whole bad file is refused.
      if (run % 4 === 3) await work;
      else await refused(work, "unavailable", /is not the file that it should be/);
      const files = await filesBelow(root);
      for (const file of files) {
        assert.ok(file.endsWith(".gguf"), `${file} stays in run ${run}`);
        assert.equal(sha256(await Deno.readFile(join(root, file))), digest);
      }
      for (const { id } of catalogue.list()) await store.remove(id);
    }
  });
});

const LIES: [string, Parameters<ModelServer["mischief"]["push"]>[0], string, RegExp][] = [
  ["a length that is too short", { headers: { "content-length": "300" } }, "unavailable", /no model/],
  ["a length that is too long", { headers: { "content-length": "900000" } }, "unavailable", /failed 5 times/],
  [
    "no length at all",
    { headers: { "content-length": "", "transfer-encoding": "chunked" } },
    "unavailable",
    /how long/,
  ],
  ["a length of a petabyte", { headers: { "content-length": "900000000000000" } }, "unavailable", /room on the disk/],
  ["a packed body", { headers: { "content-encoding": "x-zip" } }, "unavailable", /packed/],
  ["status 403", { status: 403 }, "forbidden", /private, needs an agreement/],
  ["status 404", { status: 404 }, "model_not_found", /has not "m.gguf"/],
  ["status 418", { status: 418 }, "unavailable", /refused to give/],
];
for (const [what, mischief, code, message] of LIES) {
  Deno.test(`ModelStore.pull() installs nothing where the server has ${what}`, async () => {
    await withScene(async ({ server, root, catalogue, store }) => {
      server.files.set("/m.gguf", TINY);
      server.mischief = Array.from({ length: 20 }, () => mischief);
      await refused(pull(store, `${server.url}/m.gguf`), code, message);
      assert.deepEqual(catalogue.list(), []);
      assert.ok((await filesBelow(root)).every((name) => /\.part(?:\.json)?$/.test(name)));
    });
  });
}

Deno.test("ModelStore.pull() takes no size but the one that the list states", async () => {
  await withScene(async ({ server, catalogue, store }) => {
    repository(server, "o/r", { "m-q8_0.gguf": TINY });
    server.files.set("/cdn/o/r/m-q8_0.gguf", ggufBytes({ data: 400_000 }));
    await refused(pull(store, "hf.co/o/r"), "unavailable", /bytes as .*, and its list says/);
    server.files.set("/cdn/o/r/m-q8_0.gguf", TINY);
    server.mischief = [{ tooMany: 50_000, headers: { "content-length": "" } }];
    await refused(pull(store, "hf.co/o/r"), "unavailable", /sends more of .* than it said/);
    assert.deepEqual(catalogue.list(), []);
  });
});

Deno.test("ModelStore.pull() lets nothing become a model that the header parser refuses", async () => {
  await withScene(async ({ server, root, catalogue, store }) => {
    const bad = [
      new Uint8Array(5_000),
      ggufBytes({ data: 0 }),
      ggufBytes({ tensorCount: 1n << 60n }),
      ggufBytes({ pairs: [...METADATA, ["general.type", { text: "adapter" }]] }),
    ];
    for (const bytes of bad) {
      server.files.set("/m.gguf", bytes);
      await refused(
        pull(store, `${server.url}/m.gguf#sha256=${sha256(bytes)}`),
        "unavailable",
        /no model that this node can run, and is thrown away/,
      );
      assert.deepEqual([catalogue.list(), await filesBelow(root)], [[], []]);
    }
  });
});

Deno.test("ModelStore.pull() follows redirects to http and https alone, and not for ever", async () => {
  await withScene(async ({ server, catalogue, store }) => {
    server.files.set("/m.gguf", TINY);
    const wrong = ["file:///etc/passwd", "ftp://127.0.0.1/m.gguf", "data:,x", "javascript:0", "/r.gguf"];
    for (const to of wrong) {
      server.redirects.set("/r.gguf", to);
      await refused(pull(store, `${server.url}/r.gguf`), "unavailable", /redirects/);
    }
    server.redirects.set("/r.gguf", "/s.gguf");
    server.redirects.set("/s.gguf", `${server.url}/m.gguf`);
    await pull(store, `${server.url}/r.gguf`);
    assert.equal(catalogue.find("r")?.digest, sha256(TINY));
  });
});

Deno.test("ModelStore.pull() ends a connection from which nothing comes", async () => {
  await withScene(async ({ server, catalogue, store }) => {
    server.files.set("/m.gguf", TINY);
    server.mischief = [{ stallAfter: 100_000 }];
    await pull(store, `${server.url}/m.gguf`);
    assert.equal(server.asked("/m.gguf").length, 2);
    assert.equal(catalogue.find("m")?.digest, sha256(TINY));
  }, { limits: { idleMs: 300 } });
});

Deno.test("ModelStore.pull() asks for room first", async () => {
  await withScene(async ({ server, root, store }) => {
    server.files.set("/m.gguf", TINY);
    await refused(pull(store, `${server.url}/m.gguf`), "unavailable", /not enough room .* remove something/);
    const [part] = (await filesBelow(root)).filter((name) => name.endsWith(".part"));
    assert.equal((await Deno.stat(join(root, part ?? ""))).size, 0);
  }, { limits: { reserveBytes: 1_000, freeBytes: () => Promise.resolve(TINY.length + 999) } });
});

Deno.test("ModelStore.pull() of the same twice is one pull, and ends when the last has left", async () => {
  await withScene(async ({ server, catalogue, store }) => {
    server.files.set("/m.gguf", TINY);
    server.mischief = [{ stallAfter: 100_000 }];
    const ref = `${server.url}/m.gguf#sha256=${sha256(TINY)}`;
    const stops = [new AbortController(), new AbortController()];
    const pulls = stops.map(({ signal }) => pull(store, ref, signal));
    const ends = pulls.map((work) => refused(work, "cancelled", /cancelled/));
    const deadline = performance.now() + 30_000;
    while (server.seen.length < 1) {
      assert.ok(performance.now() < deadline);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    stops[0]?.abort();
    await ends[0];
    assert.equal(server.seen.length, 1);
    const third = pull(store, ref, stops[1]?.signal);
    const end = refused(third, "cancelled", /cancelled/);
    stops[1]?.abort();
    await Promise.all([ends[1], end]);
    assert.equal(server.seen.length, 1, "All three were one request");
    await pull(store, ref);
    assert.equal(catalogue.find("m")?.digest, sha256(TINY));
  });
});

Deno.test("ModelStore.pull() of one file under two references writes it once", async () => {
  await withScene(async ({ server, root, catalogue, store }) => {
    repository(server, "o/r", { "m-q8_0.gguf": TINY });
    await Promise.all(["hf.co/o/r", "hf.co/o/r:q8_0", "hf.co/o/r:m-q8_0"].map((ref) => pull(store, ref)));
    assert.equal(server.asked("/cdn/o/r/m-q8_0.gguf").length, 1);
    assert.equal(catalogue.list().length, 1);
    assert.deepEqual(await filesBelow(root), ["hf.co/o/r/m-q8_0.gguf"]);
  });
});

/** A model of an Ollama registry. */
export function ollamaModel(server: ModelServer, name: string, layers: Record<string, Uint8Array | string>): void {
  const bytes = (content: Uint8Array | string) =>
    typeof content === "string" ? new TextEncoder().encode(content) : content;
  const [path, tag] = name.split(":");
  server.files.set(
    `/v2/${path}/manifests/${tag}`,
    JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.docker.distribution.manifest.v2+json",
      layers: Object.entries(layers).map(([kind, content]) => ({
        mediaType: `application/vnd.ollama.image.${kind}`,
        digest: `sha256:${sha256(bytes(content))}`,
        size: bytes(content).length,
      })),
    }),
  );
  for (const content of Object.values(layers)) {
    server.files.set(`/v2/${path}/blobs/sha256:${sha256(bytes(content))}`, content);
  }
}

Deno.test("ModelStore.pull() fetches a plain name from an Ollama registry with its settings", async () => {
  await withScene(async ({ server, root, catalogue, store }) => {
    ollamaModel(server, "library/llama3.1:8b", {
      model: TINY,
      template: "{{ .System }} {{ .Prompt }}",
      system: "You are brief.",
      params: JSON.stringify({ temperature: 0.2, stop: ["<end>"], num_ctx: 4096 }),
      license: "MIT",
    });
    await pull(store, "llama3.1:8b");
    const model = catalogue.find("llama3.1:8b");
    assert.equal(model?.id, "llama3.1:8b");
    assert.equal(model?.digest, sha256(TINY));
    assert.equal(model?.system, "You are brief.");
    assert.equal(model?.template, "{{ .System }} {{ .Prompt }}");
    assert.deepEqual(model?.defaults, { temperature: 0.2, stop: ["<end>"] });
    assert.deepEqual(await filesBelow(root), ["ollama/library/llama3.1/llama3.1-8b.gguf"]);
    // Another process reads the same from the disk.
    const later = new ModelCatalogue({ directories: [root], own: new OwnRecords(root) });
    await later.refresh();
    assert.deepEqual({ ...later.find("llama3.1:8b"), digest: null }, { ...model, digest: null });
    await refused(pull(store, "nobody/none"), "model_not_found", /the manifest of nobody\/none:latest/);
  });
});

Deno.test("ModelStore.pull() fetches plain names from nowhere unless the owner said where", async () => {
  await withScene(async ({ server, store }) => {
    await refused(pull(store, "llama3.1:8b"), "bad_request", /--ollama-registry/);
    assert.equal(server.seen.length, 0);
  }, { ollamaRegistry: null });
});

Deno.test("ModelStore.remove() removes its own files alone", async () => {
  await withDirectory(async (directory) => {
    const root = join(directory, "own");
    const other = join(directory, "other");
    for (const path of [root, other]) await Deno.mkdir(path);
    await Deno.writeFile(join(other, "mine.gguf"), TINY);
    await Deno.writeFile(join(root, "hand.gguf"), ggufBytes({ pairs: [...METADATA, ["general.name", { text: "x" }]] }));
    const records = new OwnRecords(root);
    const catalogue = new ModelCatalogue({ directories: [root, other], own: records });
    await catalogue.refresh();
    const store = new ModelStore({ catalogue, records });
    await refused(store.remove("mine"), "forbidden", /owner's own file/);
    await refused(store.remove("nothing"), "model_not_found", /no model nothing/);
    await store.remove("hand");
    assert.deepEqual(catalogue.list().map(({ source }) => source), ["folder"]);
    assert.deepEqual([await filesBelow(root), await filesBelow(other)], [[], ["mine.gguf"]]);
  });
});

Deno.test("ModelStore.copy() gives second names that last, and a removed model goes on under one", async () => {
  await withScene(async ({ server, root, catalogue, store }) => {
    ollamaModel(server, "library/a:1b", { model: TINY });
    ollamaModel(server, "library/b:1b", { model: ggufBytes({ data: 5_000 }) });
    await pull(store, "a:1b");
    await pull(store, "b:1b");
    await store.copy("a:1b", "gpt-4o");
    await store.copy("a:1b", "gpt-4o");
    assert.equal(catalogue.find("GPT-4o:latest")?.id, "a:1b");
    assert.deepEqual(catalogue.find("a:1b")?.aliases, ["gpt-4o"]);
    await refused(store.copy("a:1b", "b:1b"), "bad_request", /taken by b:1b/);
    for (const name of ["", "..", "../x", "a b", "/x", "x/", "é", "x".repeat(201)]) {
      await refused(store.copy("a:1b", name), "bad_request", /letters, digits/);
    }
    const later = new ModelCatalogue({ directories: [root], own: new OwnRecords(root) });
    await later.refresh();
    assert.equal(later.find("gpt-4o")?.id, "a:1b");
    await store.copy("b:1b", "gpt-4o");
    assert.equal(catalogue.find("gpt-4o")?.id, "b:1b", "A second name can be given to another model");
    await store.remove("gpt-4o");
    assert.equal(catalogue.find("gpt-4o"), undefined);
    assert.equal(catalogue.list().length, 2);
    await store.copy("a:1b", "renamed:2b");
    await store.remove("a:1b");
    assert.deepEqual(catalogue.list().map(({ id }) => id), ["b:1b", "renamed:2b"]);
    await store.remove("renamed:2b");
    assert.deepEqual(catalogue.list().map(({ id }) => id), ["b:1b"]);
    assert.deepEqual(await filesBelow(root), ["ollama/library/b/b-1b.gguf"]);
  });
});
