import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { BlobShelf, ModelCatalogue, PartBlob } from "@ark/node/models";
import { ArkError, chunkRoot, decodeSignedManifest, type SignedManifest } from "@ark/node/protocol";
import { openStore } from "@ark/node/store";
import { withDirectory } from "../../support/temporary.ts";
import { until } from "../../inference/local_fixture.ts";
import { identityOfSeed } from "../../transport/mesh_fixture.ts";
import { ggufBytes, METADATA } from "../gguf_bytes.ts";
import { splitGguf } from "../split_gguf.ts";
import { blobOf, randomBlob } from "./random_blob.ts";

const identity = identityOfSeed(1);
const FIXTURE = "test/fixtures/arkling-9m-q4_0.gguf";
const REVISION = "c0ffee".padEnd(40, "0");

async function write(path: string, content: Uint8Array | string): Promise<string> {
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeFile(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
  return path;
}

async function writeOllama(root: string, layers: Record<string, Uint8Array<ArrayBuffer> | string>): Promise<void> {
  const described = await Promise.all(
    Object.entries(layers).map(async ([kind, content]) => {
      const { bytes, sha256, size } = blobOf(
        typeof content === "string" ? new TextEncoder().encode(content) : content,
      );
      await write(join(root, "blobs", `sha256-${sha256}`), bytes);
      return { mediaType: `application/vnd.ollama.image.${kind}`, digest: `sha256:${sha256}`, size };
    }),
  );
  const manifest = JSON.stringify({ schemaVersion: 2, layers: described });
  await write(join(root, "manifests/registry.ollama.ai/library/tiny/1b"), manifest);
}

/** Runs a catalogue until all digests are known. */
async function hashed(catalogue: ModelCatalogue): Promise<void> {
  const stop = new AbortController();
  const running = catalogue.run(stop.signal);
  await until(() => catalogue.list().length > 0 && catalogue.list().every(({ digest }) => digest !== null));
  stop.abort();
  await running;
}

function notHere(work: Promise<unknown>): Promise<void> {
  return assert.rejects(work, (error) => error instanceof ArkError && error.code === "model_not_found");
}

Deno.test("BlobShelf gives files of all stores by their digests, chunk by chunk, and names the models they belong to", () =>
  withDirectory(async (directory) => {
    const folder = blobOf(await Deno.readFile(FIXTURE));
    const ollama = blobOf(ggufBytes());
    const parts = splitGguf(await Deno.readFile(FIXTURE), 2).map((bytes) => blobOf(bytes));
    await write(join(directory, "folder/a.gguf"), folder.bytes);
    await writeOllama(join(directory, "ollama"), { model: ollama.bytes, license: "Do good.", system: "Be kind." });
    const repository = join(directory, "hf/models--org--repo");
    for (const [index, part] of parts.entries()) {
      await write(join(repository, "blobs", part.sha256), part.bytes);
      const name = join(repository, "snapshots", REVISION, `big-0000${index + 1}-of-00002.gguf`);
      await Deno.mkdir(dirname(name), { recursive: true });
      await Deno.symlink(`../../blobs/${part.sha256}`, name);
    }
    const catalogue = new ModelCatalogue({
      directories: [join(directory, "folder")],
      ollama: join(directory, "ollama"),
      huggingFace: join(directory, "hf"),
    });
    await using shelf = new BlobShelf({ catalogue, identity, now: () => new Date(0) });
    await catalogue.refresh();
    assert.equal(shelf.find(folder.sha256), undefined, "no digest that was not computed here");
    await hashed(catalogue);
    for (const blob of [folder, ollama, ...parts]) {
      const here = shelf.find(blob.sha256);
      assert.ok(here?.complete && here.have.full);
      assert.equal(here.size, blob.size);
      assert.deepEqual(await here.chunks(), blob.list);
      const read = await Promise.all(Array.from({ length: here.have.length }, (_, index) => here.read(index)));
      for (const [index, bytes] of read.entries()) assert.deepEqual(bytes, blob.chunk(index));
      await assert.rejects(here.read(here.have.length), RangeError);
    }
    assert.deepEqual(shelf.modelsOf(ollama.sha256), ["tiny:1b"]);
    assert.deepEqual(parts.map(({ sha256 }) => shelf.modelsOf(sha256)), [["arkling:9m-q4_0-2"], ["arkling:9m-q4_0-2"]]);
    assert.deepEqual(shelf.modelsOf("00".repeat(32)), []);
    for (const name of ["", "../x", folder.sha256.toUpperCase(), `sha256-${folder.sha256}`]) {
      assert.equal(shelf.find(name), undefined);
    }

    const signed = await shelf.manifest("tiny:1b") as SignedManifest;
    assert.deepEqual(decodeSignedManifest(JSON.parse(JSON.stringify(signed))), signed);
    assert.deepEqual(signed.manifest, {
      version: 1,
      model: "tiny:1b",
      files: [{ name: "tiny-1b.gguf", sha256: ollama.sha256, size: ollama.size, root: chunkRoot(ollama.list) }],
      template: null,
      system: "Be kind.",
      parameters: {},
      license: "Do good.",
      made_at: "1970-01-01T00:00:00.000Z",
    });
    assert.equal(await shelf.manifest("tiny:1b"), signed, "made once");
    const split = await shelf.manifest("arkling:9m-q4_0-2");
    assert.deepEqual(split?.manifest.files.map(({ name }) => name), [
      "big-00001-of-00002.gguf",
      "big-00002-of-00002.gguf",
    ]);
    assert.equal(await shelf.manifest("tiny"), undefined);
  }));

Deno.test("BlobShelf gives nothing of a file that changed, was replaced or leads elsewhere since its digest was computed", () =>
  withDirectory(async (directory) => {
    const blob = blobOf(await Deno.readFile(FIXTURE));
    const [folder, path] = [join(directory, "folder"), join(directory, "folder/a.gguf")];
    const catalogue = new ModelCatalogue({ directories: [folder] });
    await using shelf = new BlobShelf({ catalogue, identity });
    const fresh = async () => {
      await Deno.remove(folder, { recursive: true }).catch(() => {});
      await write(path, blob.bytes);
      await catalogue.refresh();
      await hashed(catalogue);
      const here = shelf.find(blob.sha256);
      assert.deepEqual(await here?.read(1), blob.chunk(1));
      return here ?? assert.fail();
    };
    {
      const here = await fresh();
      using file = await Deno.open(path, { write: true });
      await file.seek(blob.size - 1, Deno.SeekMode.Start);
      await file.write(Uint8Array.of(1));
      await Deno.utime(path, new Date(), new Date(Date.now() + 5_000));
      await notHere(here.read(0));
      await notHere(here.read(1));
    }
    {
      const here = await fresh();
      await Deno.truncate(path, blob.size - 1);
      await notHere(here.read(1));
    }
    {
      // Its twin is the same in size and time, and lies elsewhere.
      const here = await fresh();
      await write(join(directory, "else/a.gguf"), randomBlob(blob.size).bytes);
      const { atime, mtime } = await Deno.stat(path);
      await Deno.utime(join(directory, "else/a.gguf"), atime ?? 0, mtime ?? 0);
      await catalogue.refresh();
      await Deno.rename(folder, join(directory, "before"));
      await Deno.symlink(join(directory, "else"), folder);
      const again = new ModelCatalogue({ directories: [] });
      assert.deepEqual(again.list(), []);
      // The file that was opened before is still the right one; nobody opens the other one.
      assert.deepEqual(await here.read(0), blob.chunk(0));
      await using other = new BlobShelf({ catalogue, identity });
      await notHere(other.find(blob.sha256)?.read(0) ?? assert.fail());
      await Deno.remove(folder);
      await Deno.mkdir(folder);
      await Deno.symlink(join(directory, "else/a.gguf"), path);
      await notHere(other.find(blob.sha256)?.read(0) ?? assert.fail());
      await Deno.remove(path);
      await notHere(other.find(blob.sha256)?.read(0) ?? assert.fail());
      await catalogue.refresh();
      assert.equal(other.find(blob.sha256), undefined);
    }
  }));

Deno.test("BlobShelf reads many files at once, keeps few open, and closes those that are gone", () =>
  withDirectory(async (directory) => {
    const blobs = Array.from(
      { length: 40 },
      (_, index) => blobOf(ggufBytes({ pairs: [...METADATA, ["general.description", { text: `number ${index}` }]] })),
    );
    for (const [index, { bytes }] of blobs.entries()) await write(join(directory, `m${index}.gguf`), bytes);
    const catalogue = new ModelCatalogue({ directories: [directory] });
    await using shelf = new BlobShelf({ catalogue });
    await catalogue.refresh();
    await hashed(catalogue);
    const open = async () =>
      Deno.build.os === "linux"
        ? (await Array.fromAsync(Deno.readDir("/proc/self/fd"))).filter(({ name }) => {
          try {
            return Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith(directory);
          } catch {
            return false;
          }
        }).length
        : 0;
    for (let round = 0; round < 3; round++) {
      await Promise.all(blobs.map(async ({ sha256, bytes }) => {
        assert.deepEqual(await shelf.find(sha256)?.read(0), bytes);
      }));
    }
    await until(async () => await open() <= 16);
    assert.equal(await shelf.manifest(catalogue.list()[0]?.id ?? ""), undefined, "nobody signs");
    for (const index of blobs.keys()) await Deno.remove(join(directory, `m${index}.gguf`));
    await catalogue.refresh();
    await until(async () => await open() === 0);
  }));

Deno.test("Lists of chunks come with the digests, are kept over restarts, and come later where a digest was known before", () =>
  withDirectory(async (directory) => {
    const blob = blobOf(await Deno.readFile(FIXTURE));
    await write(join(directory, "a.gguf"), blob.bytes);
    await using store = await openStore(":memory:");
    const listed = async () =>
      (await store.selectFrom("chunk_lists").select(["digest", "size"]).execute()).map((row) => ({ ...row }));
    const run = async () => {
      const catalogue = new ModelCatalogue({ directories: [directory], store });
      await catalogue.refresh();
      const stop = new AbortController();
      const running = catalogue.run(stop.signal);
      await until(async () => (await listed()).length === 1 && catalogue.list().every(({ digest }) => digest !== null));
      stop.abort();
      await running;
      return catalogue;
    };
    await run();
    assert.deepEqual(await listed(), [{ digest: blob.sha256, size: blob.size }]);
    // A node of an earlier version has the digest alone.
    await store.deleteFrom("chunk_lists").execute();
    const catalogue = await run();
    const [file] = catalogue.hashedFiles(catalogue.list()[0] ?? assert.fail()) ?? [];
    assert.deepEqual(await catalogue.chunkList(file ?? assert.fail()), blob.list);
    // What nobody has a digest of any more is forgotten with the next list.
    await store.insertInto("chunk_lists").values({ digest: "00".repeat(32), size: 1, hashes: new Uint8Array(32) })
      .execute();
    await catalogue.learn({ path: "/x", size: 1, mtimeMs: 1 }, "11".repeat(32), {
      size: 1,
      hashes: new Uint8Array(32),
    });
    assert.deepEqual((await listed()).map(({ digest }) => digest).sort(), ["11".repeat(32), blob.sha256].sort());
  }));

Deno.test("BlobShelf gives the checked chunks of a file that is being fetched, as long as it is shared", () =>
  withDirectory(async (directory) => {
    const blob = randomBlob(3 * 4_194_304 - 1);
    await using shelf = new BlobShelf({ catalogue: new ModelCatalogue({ directories: [] }), identity });
    await using part = await PartBlob.open(join(directory, "a.part"), {
      ...blob,
      signal: new AbortController().signal,
    });
    {
      using _ = shelf.share(part, ["big:70b"]);
      await part.write(1, blob.chunk(1));
      const here = shelf.find(blob.sha256) ?? assert.fail();
      assert.deepEqual([here.complete, here.version, here.have.bytes().toHex()], [false, 1, "40"]);
      assert.deepEqual(await here.chunks(), blob.list);
      assert.deepEqual(await here.read(1), blob.chunk(1));
      await notHere(here.read(0));
      assert.deepEqual(shelf.modelsOf(blob.sha256), ["big:70b"]);
    }
    assert.equal(shelf.find(blob.sha256), undefined);
    assert.deepEqual(shelf.modelsOf(blob.sha256), []);
  }));
