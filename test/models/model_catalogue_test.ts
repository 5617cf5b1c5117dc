import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { MemoryDigestCache, ModelCatalogue } from "@ark/node/models";
import { ggufBytes, type GgufParts, METADATA, type Value } from "./gguf_bytes.ts";

const FIXTURE = "test/fixtures/arkling-9m-q4_0.gguf";

/** A folder that is removed at the end, with files in it. */
class Folder implements AsyncDisposable {
  readonly path = Deno.makeTempDirSync();
  #seconds = 1_700_000_000;
  write(name: string, content: Uint8Array | GgufParts = {}): string {
    const path = join(this.path, name);
    Deno.mkdirSync(join(path, ".."), { recursive: true });
    Deno.writeFileSync(path, content instanceof Uint8Array ? content : ggufBytes(content));
    // Two writes within a millisecond must differ in time, as they do where a person makes them.
    Deno.utimeSync(path, ++this.#seconds, this.#seconds);
    return path;
  }
  async [Symbol.asyncDispose]() {
    await Deno.remove(this.path, { recursive: true });
  }
}

function basename(name: string): [string, Value][] {
  return METADATA.map(([key, value]) => key === "general.basename" ? [key, { text: name }] : [key, value]);
}

async function catalogueOf(...directories: string[]): Promise<ModelCatalogue> {
  const catalogue = new ModelCatalogue({ directories });
  await catalogue.refresh();
  return catalogue;
}

function ids(catalogue: ModelCatalogue): string[] {
  return catalogue.list().map(({ id }) => id);
}

Deno.test("ModelCatalogue.find() knows a model by id, file name and bare name", async () => {
  const catalogue = await catalogueOf("test/fixtures");
  const model = catalogue.find("arkling:9m-q4_0");
  assert.ok(model);
  assert.equal(model.path, await Deno.realPath(FIXTURE));
  assert.equal(model.contextLength, 1024);
  assert.equal(model.blockCount, 8);
  assert.equal(model.parameters, "9m");
  assert.equal(model.quantization, "q4_0");
  assert.equal(model.parameterCount, 8_917_248);
  for (const ref of ["ARKLING:9M-Q4_0", "arkling-9m-q4_0", "Arkling", "arkling:latest"]) {
    assert.equal(catalogue.find(ref)?.id, model.id, ref);
  }
  for (const ref of ["", "ark", "arkling:8m", "arkling:", ":latest"]) assert.equal(catalogue.find(ref), undefined, ref);
});

Deno.test("ModelCatalogue.list() is empty for missing and empty folders, and a missing one is a fault", async () => {
  await using folder = new Folder();
  const missing = join(folder.path, "missing");
  const catalogue = await catalogueOf(folder.path, missing);
  assert.deepEqual(catalogue.list(), []);
  assert.deepEqual(catalogue.faults(), [
    { path: missing, reason: "There is no such folder: make it, or correct --models" },
  ]);
});

Deno.test("ModelCatalogue.find() takes a bare name only where one model has it", async () => {
  await using folder = new Folder();
  folder.write("one.gguf");
  folder.write("two.gguf", { pairs: [...METADATA.filter(([key]) => !key.endsWith("size_label"))] });
  const catalogue = await catalogueOf(folder.path);
  assert.deepEqual(ids(catalogue), ["tiny:1k-f32", "tiny:f32"]);
  assert.equal(catalogue.find("tiny"), undefined);
  assert.equal(catalogue.find("two")?.id, "tiny:f32");
});

Deno.test("ModelCatalogue gives files of one name distinct ids in the order of their paths", async () => {
  await using folder = new Folder();
  const expected = new Map([["tiny:1k-f32", "b/x.gguf"], ["tiny:1k-f32-2", "c/x.gguf"], ["tiny:1k-f32-3", "d.gguf"]]);
  for (const name of [...expected.values()].reverse()) folder.write(name);
  for (let run = 0; run < 2; run++) {
    const catalogue = await catalogueOf(folder.path);
    for (const [id, name] of expected) {
      assert.equal(catalogue.find(id)?.path, await Deno.realPath(join(folder.path, name)));
    }
    assert.equal(catalogue.find("x"), undefined);
    assert.equal(catalogue.find("d")?.id, "tiny:1k-f32-3");
  }
});

Deno.test("ModelCatalogue.faults() names each file that cannot be used, and the others work", async () => {
  await using folder = new Folder();
  folder.write("good.gguf");
  const faulty: [string, Uint8Array | GgufParts, RegExp][] = [
    ["broken.gguf", new Uint8Array(100), /does not begin with GGUF/],
    ["empty.gguf", new Uint8Array(), /too short/],
    ["cut.gguf", { data: 0 }, /incomplete or damaged/],
    ["adapter.gguf", { pairs: [...METADATA, ["general.type", { text: "adapter" }]] }, /addition/],
    ["part.gguf", { pairs: [...METADATA, ["split.count", { u32: 3 }]] }, /one part of a split model/],
    ["nameless.gguf", { pairs: [] }, /architecture/],
    ["vocabulary.gguf", { tensors: [] }, /no tensors/],
    ["endless.gguf", { pairs: METADATA.slice(0, 1) }, /context length/],
  ];
  for (const [name, content] of faulty) folder.write(name, content);
  const catalogue = await catalogueOf(folder.path);
  assert.deepEqual(ids(catalogue), ["tiny:1k-f32"]);
  const faults = catalogue.faults();
  assert.equal(faults.length, faulty.length);
  for (const [name, , message] of faulty) {
    const fault = faults.find(({ path }) => path.endsWith("/" + name));
    assert.match(fault?.reason ?? "", message, name);
  }
});

Deno.test("ModelCatalogue.refresh() notices files that come, change and go", async () => {
  await using folder = new Folder();
  const catalogue = await catalogueOf(folder.path);
  const path = folder.write("a.gguf");
  folder.write("b.gguf", { pairs: basename("Other") });
  await catalogue.refresh();
  assert.deepEqual(ids(catalogue), ["other:1k-f32", "tiny:1k-f32"]);
  folder.write("a.gguf", { pairs: basename("Renamed") });
  await catalogue.refresh();
  assert.deepEqual(ids(catalogue), ["other:1k-f32", "renamed:1k-f32"]);
  folder.write("a.gguf", new Uint8Array(50));
  await catalogue.refresh();
  assert.deepEqual(ids(catalogue), ["other:1k-f32"]);
  assert.equal(catalogue.faults().length, 1);
  await Deno.remove(path);
  await catalogue.refresh();
  assert.deepEqual(catalogue.faults(), []);
});

Deno.test("ModelCatalogue reads a few levels, follows links only inside, and a file once", async () => {
  await using outside = new Folder();
  await using folder = new Folder();
  outside.write("secret.gguf", { pairs: basename("Secret") });
  folder.write("a/b/c/d/deep.gguf", { pairs: basename("Deep") });
  folder.write("a/b/c/d/e/deeper.gguf", { pairs: basename("Deeper") });
  folder.write(".hidden.gguf");
  const links: [string, string][] = [
    [outside.path, "outside"],
    [join(outside.path, "secret.gguf"), "secret.gguf"],
    [folder.path, "loop"],
    [join(folder.path, "a/b/c/d/deep.gguf"), "deep.gguf"],
    [join(folder.path, "nowhere"), "dangling.gguf"],
  ];
  for (const [target, name] of links) await Deno.symlink(target, join(folder.path, name));
  const catalogue = await catalogueOf(folder.path);
  assert.deepEqual(ids(catalogue), ["deep:1k-f32"]);
  assert.deepEqual(catalogue.faults(), []);
});

Deno.test("ModelCatalogue never opens what is not a regular file", async () => {
  await using folder = new Folder();
  const made = await new Deno.Command("mkfifo", { args: [join(folder.path, "pipe.gguf")] }).output();
  assert.ok(made.success);
  const catalogue = await catalogueOf(folder.path);
  assert.deepEqual(catalogue.list(), []);
});

Deno.test("ModelCatalogue.run() computes digests and keeps them", async () => {
  const expected = createHash("sha256").update(await Deno.readFile(FIXTURE)).digest("hex");
  const digests = new MemoryDigestCache();
  const catalogue = new ModelCatalogue({ directories: ["test/fixtures"], digests });
  const controller = new AbortController();
  const running = catalogue.run(controller.signal);
  const digest = await eventually(() => catalogue.find("arkling")?.digest);
  controller.abort();
  await running;
  assert.equal(digest, expected);

  const later = new ModelCatalogue({ directories: ["test/fixtures"], digests });
  await later.refresh();
  assert.equal(later.find("arkling")?.digest, expected);
});

Deno.test("ModelCatalogue.run() keeps no digest of a file that changed while it was hashed", async () => {
  await using folder = new Folder();
  const path = folder.write("a.gguf");
  const later = new Date(Date.now() + 60_000);
  const kept: number[] = [];
  let changed = false;
  const digests = {
    // Asked after the file was looked at, and before it is hashed.
    async get() {
      if (!changed) await Deno.utime(path, later, later);
      changed = true;
      return undefined;
    },
    put: ({ mtimeMs }: { mtimeMs: number }) => Promise.resolve(void kept.push(mtimeMs)),
  };
  const catalogue = new ModelCatalogue({ directories: [folder.path], digests, intervalMs: 5 });
  const controller = new AbortController();
  const running = catalogue.run(controller.signal);
  await eventually(() => catalogue.find("a")?.digest);
  controller.abort();
  await running;
  assert.deepEqual(kept, [later.getTime()]);
});

Deno.test("ModelCatalogue.run() looks at the folders again", async () => {
  await using folder = new Folder();
  const catalogue = new ModelCatalogue({ directories: [folder.path], intervalMs: 5 });
  const controller = new AbortController();
  const running = catalogue.run(controller.signal);
  folder.write("late.gguf");
  await eventually(() => catalogue.find("late")?.digest);
  controller.abort();
  await running;
});

Deno.test("ModelCatalogue.refresh() ends when its signal is aborted", async () => {
  const catalogue = new ModelCatalogue({ directories: ["test/fixtures"] });
  await assert.rejects(catalogue.refresh(AbortSignal.abort()), { name: "AbortError" });
  await catalogue.refresh();
  assert.equal(catalogue.list().length, 1);
});

async function eventually<T>(look: () => T | null | undefined): Promise<T> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const found = look();
    if (found !== null && found !== undefined) return found;
    assert.ok(performance.now() < deadline, "It did not come to pass in 30 s");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
