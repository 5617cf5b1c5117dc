import assert from "node:assert/strict";
import { IdentityError, loadIdentity } from "@ark/node/identity";

interface Place extends AsyncDisposable {
  directory: string;
  path: string;
}

async function place(): Promise<Place> {
  const directory = await Deno.makeTempDir({ prefix: "ark identity " });
  await Deno.chmod(directory, 0o700);
  return {
    directory,
    path: `${directory}/node.key`,
    [Symbol.asyncDispose]: () => Deno.remove(directory, { recursive: true }),
  };
}

async function namesIn(directory: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name);
}

async function modeOf(path: string): Promise<number> {
  return ((await Deno.stat(path)).mode ?? 0) & 0o7777;
}

Deno.test("loadIdentity() makes a key once and loads the same one ever after", async () => {
  await using at = await place();
  const first = await loadIdentity(at.path);
  assert.equal((await loadIdentity(at.path)).id, first.id);
  assert.equal(await modeOf(at.path), 0o600);
  assert.deepEqual(await namesIn(at.directory), ["node.key"]);
});

Deno.test("loadIdentity() makes a missing directory that only the owner can enter", async () => {
  await using at = await place();
  await loadIdentity(`${at.directory}/a/b/node.key`);
  assert.equal(await modeOf(`${at.directory}/a/b`), 0o700);
});

Deno.test("loadIdentity() gives all of many that start at once the same identity", async () => {
  await using at = await place();
  const all = await Promise.all(Array.from({ length: 16 }, () => loadIdentity(at.path)));
  assert.equal(new Set(all.map(({ id }) => id)).size, 1);
  assert.deepEqual(await namesIn(at.directory), ["node.key"]);
});

Deno.test.each([{ mode: 0o644 }, { mode: 0o640 }, { mode: 0o604 }, { mode: 0o602 }, { mode: 0o610 }])(
  "loadIdentity() refuses a key file of mode $mode and says which chmod to run",
  async ({ mode }) => {
    await using at = await place();
    await loadIdentity(at.path);
    await Deno.chmod(at.path, mode);
    await assert.rejects(loadIdentity(at.path), (error) => {
      assert.ok(error instanceof IdentityError);
      assert.ok(error.message.includes(`run chmod 600 '${at.path}'`), error.message);
      return true;
    });
    assert.equal(await modeOf(at.path), mode);
  },
);

Deno.test.each([{ mode: 0o755 }, { mode: 0o750 }, { mode: 0o701 }])(
  "loadIdentity() refuses a directory of mode $mode, with or without a key in it",
  async ({ mode }) => {
    await using at = await place();
    await Deno.chmod(at.directory, mode);
    await assert.rejects(loadIdentity(at.path), { name: "IdentityError", message: /run chmod 700/ });
    assert.deepEqual(await namesIn(at.directory), []);
  },
);

Deno.test("loadIdentity() accepts modes that are tighter than needed", async () => {
  await using at = await place();
  const { id } = await loadIdentity(at.path);
  await Deno.chmod(at.path, 0o400);
  assert.equal((await loadIdentity(at.path)).id, id);
});

Deno.test.each([
  { case: "an empty file", content: "" },
  { case: "other text", content: "not a key\n" },
  { case: "half a key", content: "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n" },
  { case: "a long file", content: "x".repeat(1 << 20) },
])("loadIdentity() refuses $case and leaves it as it is", async ({ content }) => {
  await using at = await place();
  await Deno.writeTextFile(at.path, content, { mode: 0o600 });
  await assert.rejects(loadIdentity(at.path), (error) => {
    assert.ok(error instanceof IdentityError);
    assert.match(error.message, /holds no Ed25519 private key/);
    return true;
  });
  assert.equal(await Deno.readTextFile(at.path), content);
});

Deno.test("loadIdentity() refuses a directory in place of the file", async () => {
  await using at = await place();
  await Deno.mkdir(at.path, { mode: 0o700 });
  await assert.rejects(loadIdentity(at.path));
  assert.ok((await Deno.stat(at.path)).isDirectory);
});
