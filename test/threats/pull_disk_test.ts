/** A pull takes no more of a disk than it has. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { CHUNK_BYTES, chunkCount, type ChunkList, chunkRoot, encodeChunkList, signManifest } from "@ark/node/protocol";
import { FilePeer, modelFile } from "../mesh/pull/file_peer.ts";
import { LightStore } from "../mesh/pull/light_store.ts";
import { filesOf, pull, seen } from "../mesh/pull/pulling.ts";
import { FIXTURES, MODEL, TestNode } from "../mesh/test_node.ts";

/** A small disk of its own; null, with the reason printed, where none can be made. */
async function smallDisk(
  size: string,
): Promise<{ path: string; resize(size: string): Promise<void> } & AsyncDisposable | null> {
  const path = await Deno.makeTempDir({ prefix: "ark-disk-" });
  const mount = async (...args: string[]) => {
    const command = new Deno.Command("mount", { args: ["-t", "tmpfs", ...args, "tmpfs", path], stderr: "null" });
    return await command.output().then(({ success }) => success, () => false);
  };
  if (Deno.build.os !== "linux" || !await mount("-o", `size=${size},mode=700`)) {
    // deno-lint-ignore no-console
    console.log("Skipped: a small disk is a tmpfs, which only root on Linux may mount");
    await Deno.remove(path);
    return null;
  }
  return {
    path,
    async resize(to) {
      assert.ok(await mount("-o", `remount,size=${to}`));
    },
    async [Symbol.asyncDispose]() {
      await new Deno.Command("umount", { args: ["-l", path] }).output();
      await Deno.remove(path);
    },
  };
}

Deno.test("T21: A model that has not room is refused before a byte of it comes, and the node goes on", async () => {
  await using disk = await smallDisk("256m");
  if (disk === null) return;
  const size = 1 << 30;
  const list: ChunkList = { size, hashes: new Uint8Array(chunkCount(size) * 32).fill(7) };
  await using peer = await FilePeer.start({
    name: "Mallory",
    bytes: modelFile(100_000),
    mischief: ({ what }) => {
      if (what === "chunks") return encodeChunkList(list);
      if (what !== "manifest") return undefined;
      const manifest = peer.manifest();
      const files = manifest.files.map((file) => ({ ...file, size, root: chunkRoot(list) }));
      return new TextEncoder().encode(JSON.stringify(signManifest(peer.identity, { ...manifest, files })));
    },
  });
  await using node = await TestNode.start({ name: "A", data: disk.path, models: [FIXTURES], peers: [peer.mesh] });
  await node.approve(peer);
  await seen(node);
  const said = (await pull(node, "tiny:1k")).at(-1)?.error;
  assert.match(
    said?.message ?? "",
    /^There is not enough room on the disk: 1\.1 GB are to come, a tenth of that .* remove something first$/,
  );
  assert.deepEqual(peer.asked, [], "No piece was asked for");
  assert.deepEqual(await filesOf(node), []);
  await node.reaches(MODEL);
  const answer = await node.chat({ model: MODEL, max_tokens: 2 });
  assert.equal(answer.status, 200, await answer.text());
});

Deno.test("T21: A disk that gets full in the middle of a pull ends it with a sentence, and what came is not fetched again", async () => {
  await using disk = await smallDisk("20m");
  if (disk === null) return;
  const bytes = modelFile(9 * CHUNK_BYTES + 5);
  await using peer = await FilePeer.start({ name: "B", bytes });
  await Deno.mkdir(`${disk.path}/models`);
  const known = { id: peer.identity.id, name: "B", address: peer.address };
  // The disk says that it has room, and then it has none: somebody else took it.
  const limits = { freeBytes: () => Promise.resolve(1e12) };
  await using light = new LightStore(`${disk.path}/models`, [known], { limits });
  const signal = new AbortController().signal;
  await assert.rejects(Array.fromAsync(light.store.pull("tiny:1k", { signal })), /The disk is full: make room/);
  assert.deepEqual(await filesOf({ data: disk.path }), []);
  assert.deepEqual(light.offenders, [], "It is not the peer's fault");
  const before = peer.asked.length;
  await disk.resize("200m");
  await Array.fromAsync(light.store.pull("tiny:1k", { signal }));
  const [file] = (await filesOf({ data: disk.path })).filter((path) => path.endsWith(".gguf"));
  assert.equal(createHash("sha256").update(await Deno.readFile(file ?? "")).digest("hex"), peer.sha256);
  const rest = peer.asked.length - before;
  assert.ok(rest < chunkCount(bytes.length) - 1, `${rest} chunks of ${chunkCount(bytes.length)} came again`);
});
