/** What comes in a folder, or is signed by a peer, is as hostile as what comes over the network. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { importFrom } from "@ark/node/models";
import { ArkError, chunkRoot, isSafeName, manifestBytes, type ModelManifest } from "@ark/node/protocol";
import { TestNode } from "../mesh/test_node.ts";
import { badFiles } from "../models/bad_files.ts";
import { blobOf, type RandomBlob } from "../models/blobs/random_blob.ts";
import { all, filesBelow, FIXTURE, TestStore, type TestStoreOptions } from "../models/blobs/test_store.ts";
import { ggufBytes } from "../models/gguf_bytes.ts";
import { withDirectory, withTinyDisk } from "../support/temporary.ts";
import { identityOfSeed } from "../transport/mesh_fixture.ts";
import { pathPayloads } from "./path_payloads.ts";

const peer = identityOfSeed(9);
const { signal } = new AbortController();
const LONG = Deno.env.get("ARK_LONG") === "1";
const TINY = blobOf(ggufBytes());

/** Writes what a hostile node signed, without any check of its own. */
async function writeFolder(
  usb: string,
  blob: RandomBlob,
  changes: { manifest?: object; file?: object } = {},
): Promise<void> {
  const { sha256, size, list, bytes } = blob;
  const file = { name: "m.gguf", sha256, size, root: chunkRoot(list), ...changes.file };
  const manifest = {
    version: 1,
    model: "evil:1b",
    files: [file],
    template: null,
    system: null,
    parameters: {},
    license: null,
    made_at: new Date(0).toISOString(),
    ...changes.manifest,
  } as ModelManifest;
  let signature = "";
  try {
    signature = peer.sign(manifestBytes(manifest)).toBase64();
  } catch {
    // A text with half a character cannot be signed: the reader must refuse it before.
  }
  await Deno.mkdir(join(usb, "blobs"), { recursive: true });
  await Deno.writeTextFile(join(usb, "manifest.json"), JSON.stringify({ manifest, signed_by: peer.id, signature }));
  await Deno.writeFile(join(usb, "blobs", `sha256-${sha256}`), bytes);
}

async function imported(usb: string, { store }: TestStore): Promise<unknown> {
  return await all(importFrom(usb, { store, signer: () => "a test", signal })).catch((error) => {
    assert.ok(error instanceof ArkError && error.code !== "internal" && error.message !== "", String(error));
    return error;
  });
}

async function withScene(
  test: (scene: { usb: string; target: string; taker: TestStore }) => Promise<void>,
  options: TestStoreOptions = {},
): Promise<void> {
  await withDirectory(async (directory) => {
    const target = join(directory, "secret");
    await Deno.writeTextFile(target, "mine");
    await using taker = await TestStore.open(join(directory, "node"), options);
    const outside = async () => (await filesBelow(directory)).filter((name) => !/^(?:node\/models|usb)\//.test(name));
    const before = await outside();
    await test({ usb: join(directory, "usb"), target, taker });
    assert.deepEqual(await outside(), before);
    assert.equal(await Deno.readTextFile(target), "mine");
  });
}

Deno.test("T17: Of 200 names and digests that want to be paths, signed by a peer, none is read or written outside the store", () =>
  withScene(async ({ usb, target, taker }) => {
    const payloads = pathPayloads(target);
    assert.ok(payloads.length >= 200);
    for (const payload of payloads) {
      await writeFolder(usb, TINY, { file: { name: payload } });
      await imported(usb, taker);
      for (const digest of [{ sha256: payload }, { root: payload }]) {
        await writeFolder(usb, TINY, { file: digest });
        assert.ok(await imported(usb, taker) instanceof ArkError, JSON.stringify(digest));
      }
      assert.equal(taker.shelf.find(payload), undefined);
      assert.equal(await taker.shelf.manifest(payload), undefined);
      assert.deepEqual(taker.shelf.modelsOf(payload), []);
    }
    const written = (await filesBelow(taker.root)).filter((name) => name.startsWith("shared/"));
    for (const name of written) assert.match(name, /^shared\/[0-9a-f]{16}\/[\w.+-]+$/);
    assert.ok(written.length < 40, `${written.length} of them were taken for plain names`);
  }));

Deno.test("T17: A model may be called anything, and its files lie under digests all the same", () =>
  withScene(async ({ usb, target, taker }) => {
    // Each is installed and removed for certain, which takes its time.
    for (const payload of pathPayloads(target).filter((_, index) => LONG || index % 5 === 0)) {
      await writeFolder(usb, TINY, { manifest: { model: payload } });
      await imported(usb, taker);
      for (const name of await filesBelow(taker.root)) {
        assert.match(name, /^(?:\.ark-models\.json|shared\/[0-9a-f]{16}\/m\.gguf)$/);
      }
      for (const { id } of taker.catalogue.list()) await taker.store.remove(id);
    }
  }));

Deno.test("T17: Two hundred folders and notes of waiting models that want to be paths approve and remove nothing else", () =>
  withScene(async ({ usb, target, taker }) => {
    await writeFolder(usb, TINY);
    await imported(usb, taker);
    const [note = ""] = (await filesBelow(taker.root)).filter((name) => name.endsWith("model.json"));
    const text = await Deno.readTextFile(join(taker.root, note));
    for (const payload of pathPayloads(target)) {
      // A plain way downwards stays in the store.
      if (payload.split("/").every(isSafeName)) continue;
      const model = JSON.parse(text);
      model.record.files[0].name = payload;
      await Deno.writeTextFile(join(taker.root, note), JSON.stringify(model));
      assert.deepEqual(await taker.store.waiting(), [], payload);
      await assert.rejects(taker.store.approve(payload, signal), { name: "ArkError" });
      await assert.rejects(taker.store.remove(payload), { name: "ArkError" });
    }
    await Deno.writeTextFile(join(taker.root, note), text);
    assert.equal((await taker.store.waiting()).length, 1);
  }, { approval: true }));

Deno.test("T19: A file from elsewhere is no model before its header was accepted, nor before its owner approved it", () =>
  withDirectory(async (directory) => {
    await using node = await TestNode.start({ name: "N", flags: { "approve-models": true } });
    const carry = async (blob: RandomBlob) => {
      const usb = join(directory, blob.sha256);
      await writeFolder(usb, blob);
      const token = (await Deno.readTextFile(join(node.data, "admin.token"))).trim();
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
      const order = { method: "POST", headers, body: JSON.stringify({ directory: usb }) };
      return await (await fetch(`${node.api}/models/import`, order)).text();
    };
    for (const { name, bytes } of badFiles().filter(({ bytes }) => bytes.length > 0)) {
      const lines = await carry(blobOf(new Uint8Array(bytes)));
      assert.match(lines, /is no model that this node can run, and is thrown away/, name);
    }
    assert.deepEqual((await filesBelow(join(node.data, "models"))).filter((name) => !/json$/.test(name)), []);
    assert.match(await carry(TINY), /waiting for approval/);
    const { body } = await node.admin<{ models: unknown[]; waiting: unknown[] }>("/models");
    assert.deepEqual([body.models.length, body.waiting.length], [0, 1]);
    const asked = await node.chat({ model: "evil:1b" });
    await asked.body?.cancel();
    assert.equal(asked.status, 404);
    assert.equal(node.workerLog(), "", "A worker was started");
    await node.admin("/models/approve", { model: "evil:1b" });
    // The same way does start one once it is approved: so the line above can fail.
    assert.equal((await (await node.chat({ model: "evil:1b" })).json()).choices.length, 1);
    assert.match(node.workerLog(), /fake:start/);
  }));

Deno.test("T37: A model from elsewhere brings how it writes, and nothing that changes the engine or the shape of answers", () =>
  withScene(async ({ usb, taker }) => {
    const parameters = {
      temperature: 0.5,
      stop: ["</s>"],
      lora: [{ name: "style", scale: 1 }],
      format: { kind: "json" },
      logprobs: 20,
    };
    await writeFolder(usb, TINY, { manifest: { parameters } });
    assert.ok(Array.isArray(await imported(usb, taker)), "It was taken");
    assert.deepEqual(taker.catalogue.find("evil:1b")?.defaults, { temperature: 0.5, stop: ["</s>"] });
  }));

Deno.test("T20: The chat template of a model that waits is told by its digest, so that a changed one shows", () =>
  withScene(async ({ usb, taker }) => {
    await writeFolder(usb, blobOf(await Deno.readFile(FIXTURE)));
    await imported(usb, taker);
    const [waiting] = await taker.store.waiting();
    assert.match(waiting?.template ?? "", /^[0-9a-f]{64}$/);
  }, { approval: true }));

Deno.test("T21: What has no room with a tenth to spare is refused before anything comes, and what is here goes on", () =>
  withTinyDisk(14 << 10, async (directory) => {
    const fixture = blobOf(await Deno.readFile(FIXTURE));
    const [usb, folder] = [join(directory, "usb"), join(directory, "folder")];
    await writeFolder(usb, fixture);
    await Deno.mkdir(folder);
    await Deno.writeFile(join(folder, "tiny.gguf"), TINY.bytes);
    await using taker = await TestStore.open(directory, { directories: [folder], limits: { reserveBytes: 0 } });
    await taker.hash();
    const ballast = join(directory, "ballast");
    await Deno.writeFile(ballast, new Uint8Array(3.8 * 2 ** 20));
    const before = await filesBelow(directory);
    const refused = await imported(usb, taker);
    assert.ok(refused instanceof ArkError, JSON.stringify(refused));
    assert.match(
      refused.message,
      /^There is not enough room on the disk: 5\.\d MB are to come, a tenth of that and 0\.0 MB stay/,
    );
    assert.deepEqual(await filesBelow(directory), before);
    assert.deepEqual(await taker.shelf.find(TINY.sha256)?.read(0), TINY.bytes);
    await Deno.remove(ballast);
    assert.ok(Array.isArray(await imported(usb, taker)));
    assert.ok(taker.catalogue.find("evil:1b"));
  }));

Deno.test("T21: What was begun and not gone on with for 30 days is removed at the start; the list shows what it takes", () =>
  withDirectory(async (directory) => {
    const old = new Date(Date.now() - 31 * 86_400_000);
    const root = join(directory, "models");
    const stale = [
      `.parts/sha256-${"1".repeat(64)}.part`,
      `.parts/sha256-${"1".repeat(64)}.part.have`,
      `.parts/sha256-${"2".repeat(64)}`,
      "hf.co/o/r/m.gguf.part",
      "hf.co/o/r/m.gguf.part.json",
    ];
    // One of a pair that is fresh keeps the other; what is no remnant stays whatever its age.
    const kept = [
      `.parts/sha256-${"3".repeat(64)}.part`,
      `.parts/sha256-${"3".repeat(64)}.part.have`,
      "hf.co/o/r/old.gguf",
      ".waiting/0123456789abcdef/model.json",
      "x.party",
      "note.json",
    ];
    for (const name of [...stale, ...kept]) {
      const path = join(root, name);
      await Deno.mkdir(join(path, ".."), { recursive: true });
      await Deno.writeFile(path, new Uint8Array(8_192).fill(1));
      await Deno.utime(path, old, old);
    }
    await Deno.utime(join(root, kept[1] ?? ""), new Date(), new Date());
    await using store = await TestStore.open(directory);
    const use = await store.store.diskUse();
    assert.equal(use.parts, 4);
    assert.ok(use.partBytes >= 7 * 8_192 && use.waitingBytes >= 8_192, JSON.stringify(use));
    const stop = new AbortController();
    const running = store.store.run(stop.signal);
    for (const began = performance.now(); (await filesBelow(root)).length > kept.length;) {
      assert.ok(performance.now() - began < 30_000, "It was not removed");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    stop.abort();
    await running;
    assert.deepEqual(await filesBelow(root), [...kept].sort());
  }));
