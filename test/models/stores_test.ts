/** Models where other programs keep them, made of the small trained model. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { LocalBackend } from "@ark/node/inference";
import { ModelCatalogue, splitDigest } from "@ark/node/models";
import { until, workerCommand } from "../inference/local_fixture.ts";
import { withDirectory } from "../support/temporary.ts";
import { ggufBytes, METADATA, type Value } from "./gguf_bytes.ts";
import { splitGguf } from "./split_gguf.ts";

const FIXTURE = await Deno.realPath("test/fixtures/arkling-9m-q4_0.gguf");
const REVISION = "c0ffee".padEnd(40, "0");
const TINY = ggufBytes();

function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function write(path: string, content: Uint8Array | string): Promise<string> {
  await Deno.mkdir(dirname(path), { recursive: true });
  if (typeof content === "string") await Deno.writeTextFile(path, content);
  else await Deno.writeFile(path, content);
  return path;
}

/** A model in Ollama's store; `model` may be the path of a file, which is linked. */
async function ollamaModel(root: string, path: string, layers: Record<string, Uint8Array | string>): Promise<string> {
  const described: unknown[] = [];
  for (const [kind, content] of Object.entries(layers)) {
    const bytes = kind === "model" && typeof content === "string" ? await Deno.readFile(content) : content;
    const blob = join(root, "blobs", `sha256-${sha256(bytes)}`);
    await write(blob, bytes);
    const size = typeof bytes === "string" ? new TextEncoder().encode(bytes).length : bytes.length;
    described.push({ mediaType: `application/vnd.ollama.image.${kind}`, digest: `sha256:${sha256(bytes)}`, size });
  }
  return await write(join(root, "manifests", path), JSON.stringify({ schemaVersion: 2, layers: described }));
}

async function digestOf(catalogue: ModelCatalogue, ref: string): Promise<string> {
  const stop = new AbortController();
  const running = catalogue.run(stop.signal);
  await until(() => typeof catalogue.find(ref)?.digest === "string");
  stop.abort();
  await running;
  return catalogue.find(ref)?.digest ?? "";
}

/** The first words of an answer by the real engine. */
async function answer(catalogue: ModelCatalogue, ref: string): Promise<string> {
  await using backend = new LocalBackend({
    catalogue,
    workerCommand: workerCommand("worker_main"),
    threads: 1,
    gpu: "off",
  });
  const input = { kind: "completion" as const, prompt: "The node" };
  const parameters = { max_tokens: 8, temperature: 0, seed: 1 };
  let text = "";
  const { signal } = new AbortController();
  for await (
    const event of backend.infer({ model: ref, input, parameters }, { priority: "owner", principal: "owner", signal })
  ) if (event.type === "text") text += event.text;
  return text;
}

Deno.test("ModelCatalogue lists Ollama's models under Ollama's names with their settings, and they answer", async () => {
  await withDirectory(async (root) => {
    await ollamaModel(root, "registry.ollama.ai/library/arkling/9m", {
      model: FIXTURE,
      template: "{{ if .Tools }}{{ .System }}{{ end }}{{ .Prompt }}",
      system: "You are brief.",
      params: '{"temperature":0.1,"stop":["<a>","<b>"],"num_ctx":4096,"top_k":-5,"num_predict":-1}',
      license: "Apache",
    });
    await ollamaModel(root, "registry.ollama.ai/library/arkling/latest", { model: FIXTURE });
    await ollamaModel(root, "registry.ollama.ai/Someone/tiny/1k", { model: TINY });
    await ollamaModel(root, "hf.co/org/repo/q8_0", { model: TINY });
    const catalogue = new ModelCatalogue({ directories: [], ollama: root });
    await catalogue.refresh();
    assert.deepEqual(catalogue.faults(), []);
    assert.deepEqual(
      catalogue.list().map(({ id, name, source }) => [id, name, source]),
      ["arkling:9m", "arkling:latest", "hf.co/org/repo:q8_0", "someone/tiny:1k"].map((id) => [
        id,
        id.slice(0, id.lastIndexOf(":")),
        "ollama",
      ]),
    );
    const model = catalogue.find("ARKLING:9m");
    assert.deepEqual(model?.defaults, { temperature: 0.1, stop: ["<a>", "<b>"] });
    assert.equal(model?.system, "You are brief.");
    assert.match(model?.template ?? "", /\.Tools/);
    assert.equal(catalogue.find("arkling")?.id, "arkling:latest", "As ollama itself takes a name without a tag");
    assert.deepEqual(catalogue.find("arkling")?.defaults, {});
    const [digest] = [await digestOf(catalogue, "arkling:9m")];
    assert.equal(digest, sha256(await Deno.readFile(FIXTURE)));
    const folder = new ModelCatalogue({ directories: [dirname(FIXTURE)] });
    await folder.refresh();
    const text = await answer(catalogue, "arkling:latest");
    assert.ok(text.length > 0);
    assert.equal(text, await answer(folder, "arkling"));
  });
});

Deno.test("ModelCatalogue leaves out what cannot be used of Ollama's store, each with a sentence, and writes nothing there", async () => {
  await withDirectory(async (root) => {
    const library = "registry.ollama.ai/library";
    await ollamaModel(root, `${library}/good/1`, { model: TINY });
    await ollamaModel(root, `${library}/cloud/1`, { license: "Not here" });
    await ollamaModel(root, `${library}/adapted/1`, { model: TINY, adapter: new Uint8Array(10) });
    await ollamaModel(root, `${library}/old/1`, { model: new Uint8Array(100) });
    await write(join(root, "manifests", library, "broken/1"), "{");
    await write(join(root, "manifests", library, "empty/1"), "{}");
    await write(join(root, "manifests", library, "..hidden/1"), "{}");
    const layer = (digest: string, size: number) =>
      JSON.stringify({ layers: [{ mediaType: "application/vnd.ollama.image.model", digest, size }] });
    await write(join(root, "manifests", library, "missing/1"), layer(`sha256:${"ab".repeat(32)}`, 5));
    await write(join(root, "manifests", library, "climbing/1"), layer("sha256:../../../etc/passwd", 5));
    await write(join(root, "manifests", library, "short/1"), layer(`sha256:${sha256(TINY)}`, 5));
    const before = await listing(root);
    const catalogue = new ModelCatalogue({ directories: [], ollama: root });
    await catalogue.refresh();
    assert.deepEqual(catalogue.list().map(({ id }) => id), ["good:1"]);
    const reasons = new Map(catalogue.faults().map(({ path, reason }) => [path.split("/").at(-2), reason]));
    const expected: [string, RegExp][] = [
      ["adapted", /adapter/],
      ["broken", /not JSON/],
      ["climbing", /no SHA-256/],
      ["empty", /no list of layers/],
      ["missing", /missing in Ollama's store/],
      ["old", /does not begin with GGUF/],
      ["short", /should have 5/],
    ];
    assert.deepEqual([...reasons.keys()].sort(), expected.map(([name]) => name));
    for (const [name, message] of expected) assert.match(reasons.get(name) ?? "", message, name);
    assert.deepEqual(await listing(root), before);
  });
});

Deno.test("ModelCatalogue believes no digest: a blob that is not what it is called is left out, and none is told before", async () => {
  await withDirectory(async (root) => {
    const manifest = await ollamaModel(root, "registry.ollama.ai/library/bad/1", { model: TINY });
    const blob = join(root, "blobs", `sha256-${sha256(TINY)}`);
    const changed = TINY.slice();
    changed[changed.length - 1] = 1;
    await Deno.writeFile(blob, changed);
    const catalogue = new ModelCatalogue({ directories: [], ollama: root });
    await catalogue.refresh();
    assert.equal(catalogue.find("bad:1")?.digest, null);
    const stop = new AbortController();
    const running = catalogue.run(stop.signal);
    await until(() => catalogue.list().length === 0);
    stop.abort();
    await running;
    assert.deepEqual(catalogue.faults(), [{
      path: manifest,
      reason: "The file is damaged: it is not what its store says by its name; fetch it again",
    }]);
  });
});

/** A repository in the cache of Hugging Face's tools, with links as those make them. */
async function cached(
  root: string,
  repository: string,
  files: Record<string, Uint8Array>,
  revision = REVISION,
): Promise<void> {
  const directory = join(root, `models--${repository.replace("/", "--")}`);
  for (const [name, bytes] of Object.entries(files)) {
    await write(join(directory, "blobs", sha256(bytes)), bytes);
    const link = join(directory, "snapshots", revision, name);
    await Deno.mkdir(dirname(link), { recursive: true });
    await Deno.symlink(join("../".repeat(name.split("/").length + 1), "blobs", sha256(bytes)), link);
  }
  await write(join(directory, "refs", "main"), revision);
}

Deno.test("ModelCatalogue lists the GGUF files of Hugging Face's cache, each once, and they answer", async () => {
  await withDirectory(async (directory) => {
    const root = join(await Deno.realPath(directory), "hub");
    const fixture = await Deno.readFile(FIXTURE);
    await cached(root, "ark/arkling", { "arkling-9m-q4_0.gguf": fixture, "sub/tiny.gguf": TINY });
    await cached(root, "ark/arkling", { "arkling-9m-q4_0.gguf": fixture }, "d".repeat(40));
    await cached(root, "ark/text", { "README.md": new Uint8Array(5) });
    await write(join(root, "models--ark--arkling/snapshots", REVISION, "secret.txt"), "x");
    const outside = await write(join(directory, "outside.gguf"), ggufBytes({ data: 9_000 }));
    await Deno.symlink(outside, join(root, "models--ark--arkling/snapshots", REVISION, "outside.gguf"));
    await write(join(root, "datasets--ark--x/snapshots", REVISION, "d.gguf"), TINY);
    const catalogue = new ModelCatalogue({ directories: [], huggingFace: root });
    await catalogue.refresh();
    assert.deepEqual(catalogue.faults(), []);
    assert.deepEqual(catalogue.list().map(({ id, source }) => [id, source]), [
      ["arkling:9m-q4_0", "huggingface"],
      ["tiny:1k-f32", "huggingface"],
    ]);
    assert.equal(catalogue.find("arkling")?.path, join(root, "models--ark--arkling/blobs", sha256(fixture)));
    assert.equal(await digestOf(catalogue, "tiny"), sha256(TINY));
    assert.ok((await answer(catalogue, "arkling")).length > 0);
    const twice = new ModelCatalogue({ directories: [root], huggingFace: root });
    await twice.refresh();
    assert.equal(
      twice.list().filter(({ name }) => name === "arkling").length,
      1,
      "What --models shows is not shown again",
    );
  });
});

Deno.test("ModelCatalogue takes LM Studio's folder, two levels deep, as it is", async () => {
  await withDirectory(async (root) => {
    await write(join(root, "publisher/repo-GGUF/model.gguf"), TINY);
    const catalogue = new ModelCatalogue({ directories: [root] });
    await catalogue.refresh();
    assert.deepEqual(catalogue.list().map(({ id, source }) => [id, source]), [["tiny:1k-f32", "folder"]]);
  });
});

Deno.test("ModelCatalogue makes one model of a split file, in a folder and in Hugging Face's cache, and it answers as the whole one", async () => {
  await withDirectory(async (directory) => {
    const root = await Deno.realPath(directory);
    const whole = await Deno.readFile(FIXTURE);
    const parts = splitGguf(whole, 3);
    const names = [1, 2, 3].map((part) => `arkling-split-0000${part}-of-00003.gguf`);
    for (const [index, name] of names.entries()) await write(join(root, "a/b", name), parts[index] ?? "");
    const plain = new ModelCatalogue({ directories: [dirname(FIXTURE)] });
    await plain.refresh();
    const one = plain.find("arkling");
    const hub = join(root, ".hub");
    await cached(hub, "o/r", Object.fromEntries(names.map((name, index) => [name, parts[index] ?? new Uint8Array()])));
    for (const places of [{ directories: [root] }, { directories: [], huggingFace: hub }]) {
      const catalogue = new ModelCatalogue(places);
      await catalogue.refresh();
      assert.deepEqual(catalogue.faults(), []);
      const [model, ...more] = catalogue.list();
      assert.equal(more.length, 0);
      assert.ok(model && one);
      assert.deepEqual(model.files.map((file) => file.split("/").at(-1)), names);
      assert.equal(model.path, model.files[0]);
      assert.equal(model.size, parts.reduce((sum, { length }) => sum + length, 0));
      assert.deepEqual(
        [model.id, model.parameterCount, model.contextLength, model.quantization],
        [one.id, one.parameterCount, one.contextLength, one.quantization],
      );
      const expected = splitDigest(parts.map((part) => ({ digest: sha256(part), size: part.length })));
      assert.equal(await digestOf(catalogue, model.id), expected);
      assert.equal(catalogue.find("arkling-split")?.id, model.id);
      assert.equal(await answer(catalogue, model.id), await answer(plain, "arkling"));
    }
    const catalogue = new ModelCatalogue({ directories: [root] });
    await catalogue.refresh();
    const [model] = catalogue.list();
    assert.ok(model);
    await Deno.remove(join(root, "a/b", names[1] ?? ""));
    await assert.rejects(catalogue.check(model), { name: "ArkError", message: /changed or removed/ });
    await catalogue.refresh();
    assert.deepEqual(catalogue.list(), []);
    assert.match(catalogue.faults()[0]?.reason ?? "", /^The model is in 3 files, and part 2 is missing/);
    await Deno.copyFile(join(root, "a/b", names[0] ?? ""), join(root, "a/b", names[1] ?? ""));
    await catalogue.refresh();
    assert.match(catalogue.faults()[0]?.reason ?? "", /called part 2 of 3 is not, by its own header/);
  });
});

Deno.test("splitDigest() is the SHA-256 of a text that anyone can write", () => {
  const parts = [{ digest: "a".repeat(64), size: 1 }, { digest: "b".repeat(64), size: 20 }];
  assert.equal(splitDigest(parts), sha256(`ark-split/1\n${"a".repeat(64)} 1\n${"b".repeat(64)} 20\n`));
  assert.equal(splitDigest(parts), "d53575da2b185a66a761b4f2629eb6d1cf71da6684f4d6f0cd437bcbc006e634");
});

function metadata(architecture: string, ...more: [string, Value][]): [string, Value][] {
  return [
    ["general.architecture", { text: architecture }],
    [`${architecture}.context_length`, { u32: 64 }],
    ...more,
  ];
}

const QWEN = "{%- if tools %}{{ tools | tojson }}{% endif %}{% if enable_thinking %}<think>{% endif %}";
const FIM: [string, Value][] = ["fim_pre", "fim_suf", "fim_mid"].map((
  name,
) => [`tokenizer.ggml.${name}_token_id`, { u32: 1 }]);
const template = (text: string): [string, Value] => ["tokenizer.chat_template", { text }];
const CAN: [string, [string, Value][], string, string?][] = [
  ["a model that only completes", metadata("llama"), "completion"],
  ["a model that chats", metadata("llama", template("{{ messages }} the tools in a sentence")), "chat completion"],
  ["a model that chats, calls and thinks", metadata("qwen3", template(QWEN)), "chat completion tools thinking"],
  ["a model that fills gaps", metadata("qwen2", ...FIM), "completion insert"],
  ["half of the tokens for gaps", metadata("qwen2", ...FIM.slice(0, 2)), "completion"],
  ["BERT", metadata("nomic-bert", ["nomic-bert.pooling_type", { u32: 1 }]), "embed"],
  ["BERT without a word on pooling", metadata("bert"), "embed"],
  ["a decoder that embeds", metadata("qwen3", ["qwen3.pooling_type", { u32: 3 }], template(QWEN)), "embed"],
  ["a reranker by its pooling", metadata("qwen3", ["qwen3.pooling_type", { u32: 4 }], template(QWEN)), "rerank"],
  ["a reranker by its tensors", metadata("bert", ["bert.pooling_type", { u32: 2 }]), "rerank", "cls.weight"],
  ["a model without pooling", metadata("llama", ["llama.pooling_type", { u32: 0 }]), "completion"],
];
for (const [what, pairs, expected, tensor = "t"] of CAN) {
  Deno.test(`LocalModel.capabilities of ${what}: ${expected}`, async () => {
    await withDirectory(async (root) => {
      const tensors = [{ name: tensor, dimensions: [32, 2], type: 0, offset: 0 }];
      await write(join(root, "m.gguf"), ggufBytes({ pairs, tensors }));
      const catalogue = new ModelCatalogue({ directories: [root] });
      await catalogue.refresh();
      assert.deepEqual(catalogue.list()[0]?.capabilities, expected.split(" "), catalogue.faults()[0]?.reason);
    });
  });
}

Deno.test("LocalModel.capabilities of a hostile template are judged at once", async () => {
  await withDirectory(async (root) => {
    await write(join(root, "m.gguf"), ggufBytes({ pairs: [...METADATA, template("{%".repeat(60_000))] }));
    const catalogue = new ModelCatalogue({ directories: [root] });
    // Without a bound in the expression, this takes minutes.
    await catalogue.refresh();
    assert.deepEqual(catalogue.list()[0]?.capabilities, ["chat", "completion"]);
  });
});

async function listing(root: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(root)) {
    const path = join(root, name);
    const { size, mtime } = await Deno.stat(path);
    if (isDirectory) found.push(...await listing(path));
    else found.push(`${path} ${size} ${mtime?.getTime()}`);
  }
  return found.sort();
}
