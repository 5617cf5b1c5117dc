import assert from "node:assert/strict";
import { decodeRotations, finishRotation, loadIdentity, prepareRotation, readRotations } from "@ark/node/identity";
import { withDirectory } from "../support/temporary.ts";

async function withKey(test: (path: string, directory: string) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    await Deno.chmod(directory, 0o700);
    const path = `${directory}/node.key`;
    await loadIdentity(path);
    await test(path, directory);
  });
}

async function filesIn(directory: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name).sort();
}

Deno.test("prepareRotation() changes nothing until finishRotation(), and is the same when it is asked again", async () => {
  await withKey(async (path, directory) => {
    const before = await loadIdentity(path);
    const rotation = await prepareRotation(path);
    assert.equal(rotation.old, before.id);
    assert.equal((await loadIdentity(path)).id, before.id);
    assert.deepEqual(await prepareRotation(path), rotation);
    assert.deepEqual(await finishRotation(path), rotation);
    assert.equal((await loadIdentity(path)).id, rotation.new);
    assert.equal(await finishRotation(path), null);
    assert.deepEqual(await readRotations(path), [rotation]);
    assert.deepEqual(await filesIn(directory), ["node.key", "node.key.old-1", "node.rotation.json"]);
    assert.equal((await loadIdentity(`${path}.old-1`)).id, before.id);
    for (const name of await filesIn(directory)) {
      assert.equal(((await Deno.stat(`${directory}/${name}`)).mode ?? 0) & 0o777, 0o600, name);
    }
  });
});

Deno.test("Rotations add up to a chain of at most 16", async () => {
  await withKey(async (path) => {
    const first = (await loadIdentity(path)).id;
    for (let seq = 1; seq <= 18; seq++) {
      assert.equal((await prepareRotation(path)).seq, seq);
      await finishRotation(path);
    }
    const chain = await readRotations(path);
    assert.deepEqual(chain.map(({ seq }) => seq), Array.from({ length: 16 }, (_, index) => index + 3));
    assert.equal(chain.at(-1)?.new, (await loadIdentity(path)).id);
    assert.ok(chain.every(({ old }) => old !== first));
    assert.deepEqual(decodeRotations({ rotations: chain }), chain);
  });
});

/** Every state in which a crash may leave the files, made from the ones before and after. */
Deno.test("T10: A rotation that breaks off at any point loses no key, and is completed by the next start", async () => {
  const places = ["the new key", "the statement", "the old key's second name", "the end"] as const;
  for (const place of places) {
    await withKey(async (path, directory) => {
      const old = await loadIdentity(path);
      const rotation = await prepareRotation(path);
      const next = (await loadIdentity(`${path}.next`)).id;
      assert.equal(next, rotation.new);
      if (place === "the new key") await Deno.remove(`${directory}/node.rotation.json`);
      if (place === "the old key's second name") await Deno.link(path, `${path}.old-1`);
      if (place === "the end") await finishRotation(path);
      // The next start.
      const finished = await finishRotation(path);
      const id = (await loadIdentity(path)).id;
      if (place === "the new key") {
        // Nobody was told of it, so nothing has happened, and the key serves the next attempt.
        assert.deepEqual([finished, id], [null, old.id]);
        const again = await prepareRotation(path);
        assert.equal(again.new, next);
        await finishRotation(path);
      } else assert.equal(id, next);
      assert.equal((await loadIdentity(path)).id, next);
      assert.equal((await loadIdentity(`${path}.old-1`)).id, old.id);
      assert.equal((await readRotations(path)).at(-1)?.new, next);
    });
  }
});

Deno.test("finishRotation() replaces no key but the one that the statement names", async () => {
  await withKey(async (path) => {
    await prepareRotation(path);
    await Deno.remove(path);
    const other = await loadIdentity(path);
    assert.equal(await finishRotation(path), null);
    assert.equal((await loadIdentity(path)).id, other.id);
    // A rotation of that one begins a new chain, and its number still rises.
    const rotation = await prepareRotation(path);
    assert.deepEqual([rotation.old, rotation.seq], [other.id, 2]);
    await finishRotation(path);
    assert.deepEqual(await readRotations(path), [rotation]);
  });
});

Deno.test("finishRotation() overwrites no old key, and refuses a new one that others can read", async () => {
  await withKey(async (path) => {
    const old = await loadIdentity(path);
    await prepareRotation(path);
    await Deno.chmod(`${path}.next`, 0o644);
    await assert.rejects(finishRotation(path), { name: "IdentityError", message: /open to other users/ });
    await Deno.chmod(`${path}.next`, 0o600);
    await loadIdentity(`${path}.old-1`);
    await assert.rejects(finishRotation(path), { name: "IdentityError", message: /holds another key: move it away/ });
    assert.equal((await loadIdentity(path)).id, old.id);
  });
});

Deno.test("readRotations() refuses a file that was changed", async () => {
  await withKey(async (path, directory) => {
    await prepareRotation(path);
    const file = `${directory}/node.rotation.json`;
    const text = await Deno.readTextFile(file);
    for (const bad of ["", "{}", text.replace('"seq": 1', '"seq": 2'), text.slice(0, -5)]) {
      await Deno.writeTextFile(file, bad);
      await assert.rejects(readRotations(path), { name: "IdentityError", message: /is damaged/ });
    }
  });
});

Deno.test("prepareRotation() makes no first key", async () => {
  await withDirectory(async (directory) => {
    await assert.rejects(prepareRotation(`${directory}/node.key`), { name: "IdentityError", message: /no key/ });
    assert.deepEqual(await filesIn(directory), []);
  });
});
