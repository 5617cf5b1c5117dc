/** Names that want to be paths, wherever a pull takes a name from. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import fc from "fast-check";
import { ModelCatalogue, ModelStore, OwnRecords } from "@ark/node/models";
import { ArkError } from "@ark/node/protocol";
import { placeOf } from "../../src/models/pull/install.ts";
import { folderOf, parsePullRef } from "../../src/models/pull/pull_ref.ts";
import { isSafeName, safeParts } from "../../src/models/pull/safe_name.ts";
import { withDirectory } from "../support/temporary.ts";
import { pathPayloads } from "../threats/path_payloads.ts";
import { ggufBytes } from "./gguf_bytes.ts";
import { ModelServer } from "./model_server.ts";

const TINY = ggufBytes();
const SHA = createHash("sha256").update(TINY).digest("hex");
const REVISION = "c0ffee".padEnd(40, "0");

/** Everything below a folder with what is in it, links not followed. */
async function snapshot(directory: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const { name, isDirectory, isFile } of Deno.readDir(directory)) {
    const path = join(directory, name);
    if (isDirectory) { for (const [below, text] of await snapshot(path)) found.set(below, text); }
    else found.set(path, isFile ? await Deno.readTextFile(path) : "");
  }
  return found;
}

interface Scene {
  server: ModelServer;
  store: ModelStore;
  root: string;
  /** A file beside the store, which every payload is about. */
  target: string;
  /** Whether nothing outside the store was changed or made. */
  unharmed(): Promise<void>;
}

async function withScene(test: (scene: Scene) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    await using server = ModelServer.start();
    const base = await Deno.realPath(directory);
    const root = join(base, "data", "models");
    const target = join(base, "data", "node.key");
    await Deno.mkdir(root, { recursive: true });
    await Deno.writeTextFile(target, "secret");
    const records = new OwnRecords(root);
    const catalogue = new ModelCatalogue({ directories: [root], own: records });
    const limits = { pauseMs: 1, reserveBytes: 0 };
    const store = new ModelStore({
      catalogue,
      records,
      huggingFaceEndpoint: server.url,
      ollamaRegistry: server.url,
      limits,
    });
    const outside = async () => [...await snapshot(base)].filter(([path]) => !path.startsWith(root + "/"));
    const before = await outside();
    await test({
      server,
      store,
      root,
      target,
      unharmed: async () => assert.deepEqual(await outside(), before),
    });
  });
}

async function fails(store: ModelStore, ref: string): Promise<void> {
  await assert.rejects(
    Array.fromAsync(store.pull(ref, { signal: new AbortController().signal })),
    (error) => error instanceof ArkError && error.code !== "internal" && error.message !== "",
    JSON.stringify(ref),
  );
}

Deno.test("T17: Two hundred references that want to be paths fetch nothing and write nothing outside the store", async () => {
  await withScene(async ({ server, store, target, unharmed }) => {
    const payloads = pathPayloads(target);
    assert.ok(payloads.length >= 200);
    for (const payload of payloads) {
      await fails(store, payload);
      await fails(store, `hf.co/${payload}`);
      await fails(store, `hf.co/org/repo:${payload}`);
      await assert.rejects(store.remove(payload), { name: "ArkError" });
    }
    // A payload that is a plain name by itself may be asked for; it is told as it is.
    for (const { path } of server.seen) {
      assert.match(
        path,
        /^\/(?:api\/models|v2)\/[\w.+-]+\/[\w.+-]+\/(?:revision\/main\?blobs=true|manifests\/[\w.+-]+)$/,
      );
      assert.ok(!path.includes(".."), path);
    }
    await unharmed();
  });
});

Deno.test("T17: Two hundred file names of a repository that want to be paths write nothing outside the store", async () => {
  await withScene(async ({ server, store, root, target, unharmed }) => {
    let written = 0;
    for (const payload of pathPayloads(target)) {
      const rfilename = /\.gguf$/.test(payload) ? payload : `${payload}.gguf`;
      const sibling = { rfilename, size: TINY.length, lfs: { sha256: SHA } };
      server.files.set(
        "/api/models/o/r/revision/main?blobs=true",
        JSON.stringify({ sha: REVISION, siblings: [sibling] }),
      );
      const safe = rfilename.split("/").every(isSafeName) && rfilename.split("/").length <= 2;
      if (!safe) {
        await fails(store, "hf.co/o/r");
        continue;
      }
      written++;
      server.files.set(`/o/r/resolve/${REVISION}/${rfilename}`, TINY);
      await Array.fromAsync(store.pull("hf.co/o/r", { signal: new AbortController().signal }));
    }
    for (const path of (await snapshot(root)).keys()) {
      assert.match(path.slice(root.length), /^\/(?:\.ark-models\.json|hf\.co\/o\/r\/[\w./+-]+\.gguf)$/);
    }
    assert.ok(written < 40, `${written} of them were taken for plain names`);
    await unharmed();
  });
});

Deno.test("T17: Digests of a manifest that want to be paths fetch nothing", async () => {
  await withScene(async ({ server, store, target, unharmed }) => {
    for (const payload of pathPayloads(target)) {
      const layer = { mediaType: "application/vnd.ollama.image.model", digest: payload, size: TINY.length };
      server.files.set("/v2/library/m/manifests/1", JSON.stringify({ layers: [layer] }));
      await fails(store, "m:1");
    }
    assert.ok(server.seen.every(({ path }) => !path.includes("..")));
    await unharmed();
  });
});

Deno.test("T17: Links in the store lead no file of a pull out of it", async () => {
  await withScene(async ({ server, store, root, target, unharmed }) => {
    server.files.set(
      "/api/models/o/r/revision/main?blobs=true",
      JSON.stringify({ sha: REVISION, siblings: [{ rfilename: "m.gguf", size: TINY.length, lfs: { sha256: SHA } }] }),
    );
    server.files.set(`/o/r/resolve/${REVISION}/m.gguf`, TINY);
    const folder = join(root, "hf.co/o/r");
    await Deno.mkdir(folder, { recursive: true });
    for (const name of ["m.gguf", "m.gguf.part", "m.gguf.part.json"]) {
      await Deno.symlink(target, join(folder, name));
      await fails(store, "hf.co/o/r");
      await Deno.remove(join(folder, name));
    }
    await Deno.remove(join(root, "hf.co"), { recursive: true });
    await Deno.symlink(join(root, ".."), join(root, "hf.co"));
    await fails(store, "hf.co/o/r");
    await unharmed();
  });
});

Deno.test("isSafeName() lets nothing pass that is more than a name", () => {
  const bad = [
    "",
    ".",
    "..",
    "a..b",
    ".a",
    "a.",
    "a/b",
    "a\\b",
    "a\0b",
    "a b",
    "a:b",
    "con",
    "CON.gguf",
    "nul",
    "aux.x",
  ];
  for (
    const name of [...bad, "com1", "é", "a\n", "~", "-a", "$a", "a*", "x".repeat(161), "a\u202eb", "%2e", "lpt1.gguf"]
  ) {
    assert.ok(!isSafeName(name), JSON.stringify(name));
  }
  for (const name of ["a", "Llama-3.1_8B.Q4_K_M.gguf", "x".repeat(160), "console.gguf", "a+b"]) {
    assert.ok(isSafeName(name), name);
  }
});

Deno.test("isSafeName(), safeParts() and parsePullRef() never make a path that leaves its folder", () => {
  const piece = fc.oneof(
    fc.string({ unit: "binary", maxLength: 12 }),
    fc.constantFrom(
      "..",
      "/",
      "\\",
      ":",
      "hf.co/",
      "https://",
      "127.0.0.1/",
      ".gguf",
      "#sha256=",
      "%2f",
      "%00",
      "\0",
      "a",
    ),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join("")), (text) => {
      let ref;
      try {
        ref = parsePullRef(text);
      } catch (error) {
        assert.ok(error instanceof ArkError && error.code === "bad_request", String(error));
      }
      if (ref !== undefined) {
        assert.ok(folderOf(ref).split("/").every(isSafeName), folderOf(ref));
        assert.ok(ref.kind !== "url" || (isSafeName(ref.fileName) && /^https?:$/.test(ref.url.protocol)));
        assert.ok(ref.text.length <= 2_000);
      }
      try {
        assert.ok(join("/root", ...safeParts(text)).startsWith("/root/"));
      } catch (error) {
        assert.ok(error instanceof ArkError, String(error));
      }
    }),
    { numRuns: 3_000 },
  );
});

Deno.test("placeOf() keeps every name below the store", async () => {
  await withDirectory(async (directory) => {
    const root = await Deno.realPath(directory);
    for (const name of ["a", "../a/b", "a/../b", "/a/b", "a//b", "a/./b", "a/b/..", ""]) {
      await assert.rejects(placeOf(root, name), { name: "ArkError" }, name);
    }
    assert.equal(await placeOf(root, "a/b/c.gguf"), join(root, "a/b/c.gguf"));
  });
});

const REFS: [string, string, string][] = [
  ["hf.co/Org/Repo-GGUF", "hf.co/Org/Repo-GGUF", "hf.co/Org/Repo-GGUF"],
  ["https://huggingface.co/Org/Repo:Q4_K_M", "hf.co/Org/Repo", "hf.co/Org/Repo:Q4_K_M"],
  ["HF.co/o/r:latest", "hf.co/o/r", "hf.co/o/r"],
  ["llama3.1", "ollama/library/llama3.1", "llama3.1:latest"],
  ["Llama3.1:8b", "ollama/library/Llama3.1", "llama3.1:8b"],
  ["registry.ollama.ai/library/qwen3:4b", "ollama/library/qwen3", "qwen3:4b"],
  ["someone/qwen3:4b", "ollama/someone/qwen3", "someone/qwen3:4b"],
];
for (const [text, folder, told] of REFS) {
  Deno.test(`parsePullRef() reads ${text}`, () => {
    const ref = parsePullRef(text);
    assert.deepEqual([folderOf(ref), ref.text], [folder, told]);
  });
}

const WRONG: [string, RegExp][] = [
  ["", /1 to 2000/],
  ["http://models.example/m.gguf", /over http/],
  ["https://me:secret@models.example/m.gguf", /password/],
  ["https://models.example/m.zip", /\.gguf file/],
  ["https://models.example/m.gguf#sha1=1", /64 hexadecimal/],
  ["https://huggingface.co/o/r/s", /ORG\/REPO/],
  ["ftp://models.example/m.gguf", /http and https/],
  ["file:///etc/passwd", /http and https/],
  ["hf.co/o/r:a:b", /ORG\/REPO/],
  ["hf.co/o/r/m.gguf", /quantisation/],
  ["a/b/c", /Cannot fetch/],
];
for (const [text, message] of WRONG) {
  Deno.test(`parsePullRef() refuses ${text || "nothing"} with a sentence`, () => {
    assert.throws(() => parsePullRef(text), (error) => {
      assert.ok(error instanceof ArkError && error.code === "bad_request");
      assert.match(error.message, message);
      return true;
    });
  });
}

Deno.test("parsePullRef() takes http where the digest is known or it does not leave the machine", () => {
  const known = parsePullRef(`http://models.example/a/m.gguf#sha256=${SHA.toUpperCase()}`);
  assert.ok(known.kind === "url" && known.sha256 === SHA && known.url.href === "http://models.example/a/m.gguf");
  assert.equal(parsePullRef("http://127.0.0.1:1/m.gguf").kind, "url");
  const folders = ["a/m.gguf", "b/m.gguf"].map((path) => folderOf(parsePullRef(`https://models.example/${path}`)));
  assert.notEqual(folders[0], folders[1], "Two files of one name of one server are two files");
});
