import assert from "node:assert/strict";
import { join } from "node:path";
import { PartBlob } from "@ark/node/models";
import { ArkError, CHUNK_BYTES } from "@ark/node/protocol";
import { withDirectory } from "../../support/temporary.ts";
import { randomBlob } from "./random_blob.ts";

const { signal } = new AbortController();

Deno.test("PartBlob takes chunks of any order and many at once, and puts the whole into its place", () =>
  withDirectory(async (directory) => {
    const blob = randomBlob(70 * (1 << 20) + 17);
    const into = join(directory, "whole.gguf");
    await using part = await PartBlob.open(join(directory, "a.part"), { ...blob, signal });
    const order = Array.from({ length: part.have.length }, (_, index) => index).reverse();
    const results = await Promise.all(order.map((index) => part.write(index, blob.chunk(index))));
    assert.ok(results.every(Boolean));
    assert.ok(part.complete);
    assert.equal(part.bytes, blob.size);
    await part.finish(into);
    assert.deepEqual(await Deno.readFile(into), blob.bytes);
    assert.deepEqual((await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name), ["whole.gguf"]);
  }));

Deno.test("PartBlob writes nothing of wrong bytes, and gives only what it has", () =>
  withDirectory(async (directory) => {
    const blob = randomBlob(2 * CHUNK_BYTES + 5);
    await using part = await PartBlob.open(join(directory, "a.part"), { ...blob, signal });
    assert.equal(await part.write(0, blob.chunk(1)), false);
    assert.equal(await part.write(2, blob.chunk(2).subarray(1)), false);
    assert.equal(await part.write(3, blob.chunk(2)), false);
    assert.equal(part.have.count, 0);
    assert.ok((await Deno.readFile(part.path)).every((byte) => byte === 0));
    await assert.rejects(part.read(1), (error) => error instanceof ArkError && error.code === "model_not_found");
    assert.equal(await part.write(1, blob.chunk(1)), true);
    assert.deepEqual(await part.read(1), blob.chunk(1));
    await assert.rejects(part.finish(join(directory, "whole")), TypeError);
  }));

Deno.test("PartBlob with threads takes shared memory without a copy, writes nothing of wrong bytes, and a chunk once", () =>
  withDirectory(async (directory) => {
    const blob = randomBlob(17 * CHUNK_BYTES);
    await using part = await PartBlob.open(join(directory, "a.part"), { ...blob, signal });
    const shared = new Uint8Array(new SharedArrayBuffer(CHUNK_BYTES));
    shared.set(blob.chunk(4));
    assert.equal(await part.write(3, shared), false);
    assert.equal(part.have.count, 0);
    assert.ok((await Deno.readFile(part.path)).every((byte) => byte === 0));
    const twice = await Promise.all([
      part.write(4, shared),
      part.write(4, blob.chunk(5)),
      part.write(4, blob.chunk(4)),
    ]);
    assert.deepEqual(twice, [true, false, true], "each is told whether its bytes were right");
    assert.equal(part.version, 1);
    assert.deepEqual(await part.read(4), blob.chunk(4));
    assert.equal(await part.write(4, shared), true);
    shared.set(blob.chunk(5));
    assert.equal(await part.write(4, shared), false);
    for (let index = 0; index < 17; index++) assert.ok(await part.write(index, blob.chunk(index)));
    await part.finish(join(directory, "whole"));
    assert.deepEqual(await Deno.readFile(join(directory, "whole")), blob.bytes);
  }));
