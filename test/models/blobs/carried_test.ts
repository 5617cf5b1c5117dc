import assert from "node:assert/strict";
import { join } from "node:path";
import { exportTo, importFrom } from "@ark/node/models";
import {
  ArkError,
  CHUNK_BYTES,
  chunkRoot,
  type ErrorCode,
  type SignedManifest,
  signManifest,
} from "@ark/node/protocol";
import { withDirectory } from "../../support/temporary.ts";
import { identityOfSeed } from "../../transport/mesh_fixture.ts";
import { blobOf } from "./random_blob.ts";
import { all, filesBelow, FIXTURE, TestStore, type TestStoreOptions } from "./test_store.ts";

const { signal } = new AbortController();
const MODEL = "arkling:9m-q4_0";
const { sha256: SHA256, size: SIZE } = blobOf(await Deno.readFile(FIXTURE));
const BLOB = `blobs/sha256-${SHA256}`;

/** A folder with an exported model, and a second store that has none. */
async function withExport(
  test: (at: { usb: string; target: TestStore; directory: string }) => Promise<void>,
  options: TestStoreOptions = {},
): Promise<void> {
  await withDirectory(async (directory) => {
    const usb = join(directory, "usb");
    await Deno.mkdir(join(directory, "folder"));
    await Deno.copyFile(FIXTURE, join(directory, "folder/arkling.gguf"));
    await using source = await TestStore.open(join(directory, "a"), { directories: [join(directory, "folder")] });
    await source.hash();
    await all(exportTo(MODEL, usb, { ...source, signal }));
    await using target = await TestStore.open(join(directory, "b"), { seed: 2, ...options });
    await test({ usb, target, directory });
  });
}

function imported(usb: string, { store }: TestStore) {
  return all(importFrom(usb, { store, signer: (id) => `a test (${id.slice(0, 8)})`, signal }));
}

async function refused(work: Promise<unknown>, code: ErrorCode, sentence: RegExp): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof ArkError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, sentence);
    return true;
  });
}

Deno.test("A model that is exported is a manifest and blobs, and is imported with digest, name and settings", () =>
  withExport(async ({ usb, target }) => {
    assert.deepEqual(await filesBelow(usb), [BLOB, `${BLOB}.chunks`, "manifest.json"]);
    const told = await imported(usb, target);
    assert.match(told[0]?.status ?? "", /^reading arkling:9m-q4_0, signed by a test \([a-z2-7]{8}\)$/);
    const room = told.find(({ free }) => free !== undefined);
    assert.equal(room?.needed, SIZE);
    assert.ok(told.indexOf(room ?? {} as never) < told.findIndex(({ completed }) => completed !== undefined));
    assert.ok(told.some(({ completed, total }) => completed === SIZE && total === SIZE));
    assert.deepEqual(told.at(-1), { status: "success" });
    const model = target.catalogue.find(MODEL);
    assert.equal(model?.source, "own");
    assert.equal(model?.digest, SHA256);
    assert.deepEqual(await Deno.readFile(model?.path ?? ""), await Deno.readFile(FIXTURE));
    const left = (await filesBelow(target.root)).filter((name) => !name.startsWith("shared/"));
    assert.deepEqual(left, [".ark-models.json"]);
    // The same once more fetches nothing and changes nothing.
    await imported(usb, target);
    assert.equal(target.catalogue.list().length, 1);
    assert.ok(target.shelf.find(SHA256)?.complete);
  }));

Deno.test("An import takes a folder as FAT gives it back: names in capitals, without modes", () =>
  withExport(async ({ usb, target }) => {
    for (const name of await filesBelow(usb)) await Deno.chmod(join(usb, name), 0o777);
    await Deno.rename(join(usb, BLOB), join(usb, "blobs", `SHA256-${SHA256.toUpperCase()}`));
    await Deno.rename(join(usb, `${BLOB}.chunks`), join(usb, "blobs", `SHA256-${SHA256.toUpperCase()}.CHUNKS`));
    await Deno.rename(join(usb, "blobs"), join(usb, "BLOBS"));
    await Deno.rename(join(usb, "manifest.json"), join(usb, "MANIFEST.JSON"));
    await imported(usb, target);
    assert.equal(target.catalogue.find(MODEL)?.digest, SHA256);
  }));

Deno.test("An import without the hashes of the chunks computes them, and takes no others", () =>
  withExport(async ({ usb, target }) => {
    const list = join(usb, `${BLOB}.chunks`);
    const bytes = await Deno.readFile(list);
    await Deno.writeFile(list, bytes.with(20, (bytes[20] ?? 0) ^ 1));
    await imported(usb, target);
    assert.equal(target.catalogue.find(MODEL)?.digest, SHA256);
    await target.store.remove(MODEL);
    await Deno.remove(list);
    await imported(usb, target);
    assert.equal(target.catalogue.find(MODEL)?.digest, SHA256);
  }));

Deno.test("A flipped bit is told by its place and nothing is installed; the repaired file goes on from what was right", () =>
  withExport(async ({ usb, target }) => {
    const path = join(usb, BLOB);
    const bytes = await Deno.readFile(path);
    const at = CHUNK_BYTES + 4_711;
    await Deno.writeFile(path, bytes.with(at, (bytes[at] ?? 0) ^ 0x10));
    await refused(
      imported(usb, target),
      "unavailable",
      /A piece of arkling\.gguf .* is damaged \(the first at byte 4194304\)/,
    );
    assert.deepEqual(target.catalogue.list(), []);
    assert.deepEqual(await filesBelow(target.root), [
      `.parts/sha256-${SHA256}.part`,
      `.parts/sha256-${SHA256}.part.have`,
    ]);
    await Deno.writeFile(path, bytes);
    const told = await imported(usb, target);
    assert.equal(told.find(({ completed }) => completed !== undefined)?.completed, CHUNK_BYTES, "resumed");
    assert.equal(target.catalogue.find(MODEL)?.digest, SHA256);
  }));

Deno.test("An import with a missing, truncated, swapped or changed part ends with a sentence, and nothing is installed", () =>
  withExport(async ({ usb, target }) => {
    const path = join(usb, BLOB);
    const whole = await Deno.readFile(path);
    await Deno.remove(path);
    await refused(imported(usb, target), "model_not_found", /is missing: copy the whole folder again/);
    await Deno.writeFile(path, whole.subarray(0, -1));
    await refused(imported(usb, target), "unavailable", /has \d+ bytes and should have \d+: it was not copied whole/);
    await Deno.writeFile(path, new Uint8Array(SIZE));
    await refused(imported(usb, target), "unavailable", /2 pieces of arkling\.gguf .* are damaged/);
    await Deno.writeFile(path, whole);
    const manifest = join(usb, "manifest.json");
    const text = await Deno.readTextFile(manifest);
    const changes: [string, RegExp][] = [
      [text.replace(MODEL, "llama3:8b"), /signature is not that of the node/],
      [text.replace(SHA256, "00".repeat(32)), /signature is not that of the node/],
      [text.replace("arkling.gguf", "../arkling.gguf"), /name in the manifest is not one that this node writes/],
      [text.slice(0, -20), /is not JSON/],
      ["{}", /must be an object/],
    ];
    for (const [changed, sentence] of changes) {
      await Deno.writeTextFile(manifest, changed);
      await refused(imported(usb, target), "bad_request", sentence);
    }
    await Deno.remove(manifest);
    await refused(imported(usb, target), "model_not_found", /manifest\.json is missing/);
    assert.deepEqual(target.catalogue.list(), []);
  }));

Deno.test("An import follows no link out of its folder, and writes through none in the store", () =>
  withExport(async ({ usb, target, directory }) => {
    const outside = join(directory, "outside");
    await Deno.rename(join(usb, BLOB), outside);
    await Deno.symlink(outside, join(usb, BLOB));
    await refused(imported(usb, target), "forbidden", /is no file but a link/);
    await Deno.remove(join(usb, BLOB));
    await Deno.rename(outside, join(usb, BLOB));
    await Deno.rename(join(usb, "blobs"), outside);
    await Deno.symlink(outside, join(usb, "blobs"));
    await refused(imported(usb, target), "forbidden", /is no folder but a link/);
    await Deno.remove(join(usb, "blobs"));
    await Deno.rename(outside, join(usb, "blobs"));
    await Deno.mkdir(outside);
    for (const name of [".parts", "shared"]) {
      await Deno.symlink(outside, join(target.root, name));
      await assert.rejects(imported(usb, target), ArkError);
      await Deno.remove(join(target.root, name));
    }
    await Deno.mkdir(join(target.root, ".parts"), { recursive: true });
    const part = join(target.root, `.parts/sha256-${SHA256}.part`);
    await Deno.writeTextFile(join(outside, "victim"), "mine");
    for (const name of [part, `${part}.have`, `${part}.have.new`]) {
      await Deno.remove(name).catch(() => {});
      await Deno.symlink(join(outside, "victim"), name);
      await imported(usb, target).catch((error) => assert.ok(error instanceof ArkError));
      await Deno.remove(name).catch(() => {});
    }
    assert.deepEqual(await filesBelow(outside), ["victim"]);
    assert.equal(await Deno.readTextFile(join(outside, "victim")), "mine");
  }));

Deno.test("A file that is signed and whole, and no model, is thrown away", () =>
  withDirectory(async (directory) => {
    await using target = await TestStore.open(directory);
    const usb = join(directory, "usb");
    const bad = blobOf(new TextEncoder().encode("GGUF, almost"));
    const signed: SignedManifest = signManifest(identityOfSeed(7), {
      version: 1,
      model: "evil:1b",
      files: [{ name: "evil.gguf", sha256: bad.sha256, size: bad.size, root: chunkRoot(bad.list) }],
      template: null,
      system: null,
      parameters: {},
      license: null,
      made_at: new Date(0).toISOString(),
    });
    await Deno.mkdir(join(usb, "blobs"), { recursive: true });
    await Deno.writeTextFile(join(usb, "manifest.json"), JSON.stringify(signed));
    await Deno.writeFile(join(usb, "blobs", `sha256-${bad.sha256}`), bad.bytes);
    await refused(imported(usb, target), "unavailable", /is no model that this node can run, and is thrown away/);
    assert.deepEqual(target.catalogue.list(), []);
    assert.deepEqual(await filesBelow(target.root), []);
  }));

Deno.test("An import says first that the disk has too little room, and begins nothing", () =>
  withExport(async ({ usb, target }) => {
    await refused(imported(usb, target), "unavailable", /not enough room on the disk: .* are to come, a tenth of that/);
    assert.deepEqual(await filesBelow(target.root), []);
  }, { limits: { freeBytes: () => Promise.resolve(SIZE * 1.1 - 1), reserveBytes: 0 } }));

Deno.test("What is here already under another name is not fetched, and its own store stays as it is", () =>
  withDirectory(async (directory) => {
    const usb = join(directory, "usb");
    const folder = join(directory, "folder");
    await Deno.mkdir(folder);
    await Deno.copyFile(FIXTURE, join(folder, "mine.gguf"));
    await using here = await TestStore.open(directory, { directories: [folder] });
    await here.hash();
    await all(exportTo(MODEL, usb, { ...here, signal }));
    const before = await Deno.stat(join(folder, "mine.gguf"));
    const told = await imported(usb, here);
    assert.ok(told.some(({ status }) => status.startsWith("found ")));
    assert.equal(told.find(({ needed }) => needed !== undefined)?.needed, 0);
    const after = await Deno.stat(join(folder, "mine.gguf"));
    assert.deepEqual([after.size, after.mtime, after.mode], [before.size, before.mtime, before.mode]);
    const installed = here.catalogue.list().find(({ source }) => source === "own");
    assert.equal((await Deno.stat(installed?.path ?? "")).ino, before.ino, "a second link takes no room");
    await here.store.remove(installed?.id ?? "");
    assert.deepEqual(await filesBelow(folder), ["mine.gguf"]);
  }));

Deno.test("A new model waits for approval, over restarts, hidden from the catalogue and from peers, until it is approved", () =>
  withExport(async ({ usb, target, directory }) => {
    const told = await imported(usb, target);
    assert.ok(told.some(({ status }) => status === `waiting for approval: ark-node models approve ${MODEL}`));
    assert.deepEqual(target.catalogue.list(), []);
    assert.equal(target.shelf.find(SHA256), undefined);
    assert.deepEqual(target.shelf.modelsOf(SHA256), []);
    await using again = await TestStore.open(join(directory, "b"), { approval: true });
    const [waiting, ...more] = await again.store.waiting();
    assert.deepEqual(more, []);
    assert.deepEqual([waiting?.name, waiting?.size, waiting?.from], [MODEL, SIZE, `the folder ${usb}`]);
    assert.match(waiting?.template ?? "none", /^(?:[0-9a-f]{64}|none)$/);
    assert.deepEqual(again.catalogue.list(), []);
    assert.ok((await again.store.diskUse()).waitingBytes > SIZE);
    await refused(again.store.approve("other:1b", signal), "model_not_found", /No model other:1b waits/);
    await again.store.approve(MODEL, signal);
    assert.equal(again.catalogue.find(MODEL)?.digest, SHA256);
    assert.deepEqual(await again.store.waiting(), []);
    assert.deepEqual((await filesBelow(again.root)).filter((name) => name.startsWith(".waiting")), []);
    // What is approved and in its place is no new model.
    await imported(usb, again);
    assert.deepEqual(await again.store.waiting(), []);
  }, { approval: true }));

Deno.test("A model that waits is removed by its name, and one whose file changed meanwhile is not approved", () =>
  withExport(async ({ usb, target }) => {
    await imported(usb, target);
    const [file] = (await filesBelow(target.root)).filter((name) => name.endsWith(SHA256));
    const path = join(target.root, file ?? "");
    const bytes = await Deno.readFile(path);
    await Deno.writeFile(path, bytes.with(SIZE - 1, (bytes[SIZE - 1] ?? 0) ^ 1));
    await refused(target.store.approve(MODEL, signal), "unavailable", /changed while it waited/);
    assert.deepEqual(target.catalogue.list(), []);
    await target.store.remove(MODEL);
    assert.deepEqual(await target.store.waiting(), []);
    await refused(target.store.remove(MODEL), "model_not_found", /There is no model/);
  }, { approval: true }));

Deno.test("An export goes on where it was cut, and writes over no other model", () =>
  withExport(async ({ usb, directory }) => {
    const path = join(usb, BLOB);
    const bytes = await Deno.readFile(path);
    await Deno.remove(path);
    await Deno.writeFile(`${path}.part`, bytes.subarray(0, CHUNK_BYTES + 9).with(5, 0));
    await using source = await TestStore.open(join(directory, "a"), { directories: [join(directory, "folder")] });
    await source.hash();
    await all(exportTo(MODEL, usb, { ...source, signal }));
    assert.deepEqual(await Deno.readFile(path), bytes);
    const manifest = join(usb, "manifest.json");
    await Deno.writeTextFile(manifest, "{}");
    await refused(all(exportTo(MODEL, usb, { ...source, signal })), "bad_request", /choose another folder/);
    await refused(all(exportTo("none:1b", usb, { ...source, signal })), "model_not_found", /no model none:1b/);
  }));
