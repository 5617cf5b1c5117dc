import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { BlobShelf, ModelCatalogue, PartBlob } from "@ark/node/models";
import { ArkError, chunkRoot, decodeSignedManifest, type SignedManifest } from "@ark/node/protocol";
import { openStore } from "@ark/node/store";
import { withDirectory } from "../../support/temporary.ts";
import { identityOfSeed, until } from "../../transport/mesh_fixture.ts";
import { ggufBytes, METADATA, type Value } from "../gguf_bytes.ts";
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
