import assert from "node:assert/strict";
import { writeDurably } from "@ark/node/store";

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "ark-durable-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function names(folder: string): Promise<string[]> {
  return await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
}

Deno.test("writeDurably() replaces a file as a whole, with mode 0600, and leaves nothing beside it", () =>
  inFolder(async (folder) => {
    const path = `${folder}/file.json`;
    await Deno.writeTextFile(path, "a longer text of before", { mode: 0o644 });
    await writeDurably(path, "Zoë 🛶");
    assert.equal(await Deno.readTextFile(path), "Zoë 🛶");
    assert.deepEqual(await names(folder), ["file.json"]);
    if (Deno.build.os !== "windows") assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
  }));

Deno.test("writeDurably() that fails leaves what was there and no part of what was to be", () =>
  inFolder(async (folder) => {
    const path = `${folder}/file.json`;
    // A folder with something in it cannot be replaced by a file.
    await Deno.mkdir(`${path}/x`, { recursive: true });
    await assert.rejects(writeDurably(path, "text"));
    assert.deepEqual(await names(folder), ["file.json"]);
    assert.deepEqual(await names(path), ["x"]);
    await assert.rejects(writeDurably(`${folder}/none/file.json`, "text"), Deno.errors.NotFound);
  }));
