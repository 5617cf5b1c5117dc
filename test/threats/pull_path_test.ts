/** Nothing that a peer says when a model is pulled from it becomes a path. */
import assert from "node:assert/strict";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { manifestBytes, type ModelManifest } from "@ark/node/protocol";
import { FilePeer, modelFile } from "../mesh/pull/file_peer.ts";
import { cleanEnvironment } from "../support/node_process.ts";
import { withDirectory } from "../support/temporary.ts";
import { canTrace } from "./file_trace.ts";
import { pathPayloads } from "./path_payloads.ts";

const PROGRAM = fileURLToPath(new URL("./pull_path_process.ts", import.meta.url));
/** System calls that make, change, move or remove a file. */
const CALLS = "openat,openat2,open,creat,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,rmdir,link,linkat," +
  "symlink,symlinkat,truncate,chmod,fchmodat,mknod,mknodat";

/** Calls that change something: those that open to read are left out. */
const WRITES = /O_CREAT|O_WRONLY|O_RDWR|O_TRUNC|^\d+ +(?!open)\w+\(/;

/** What is wrong with a manifest: a text where it must not be, in one of its fields. */
const PLACES: ((payload: string, manifest: ModelManifest) => unknown)[] = [
  (name, manifest) => ({ ...manifest, files: manifest.files.map((file) => ({ ...file, name })) }),
  (name, manifest) => ({ ...manifest, files: manifest.files.map((file) => ({ ...file, name: `${name}.gguf` })) }),
  (sha256, manifest) => ({ ...manifest, files: manifest.files.map((file) => ({ ...file, sha256 })) }),
  (root, manifest) => ({ ...manifest, files: manifest.files.map((file) => ({ ...file, root })) }),
  (model, manifest) => ({ ...manifest, model }),
  (model, manifest) => ({ ...manifest, model: `tiny:${model}` }),
];

Deno.test("T17: Of 200 names and digests of peers' manifests that want to be paths none is read or written on a pull", () =>
  withDirectory(async (directory) => {
    const base = await Deno.realPath(directory);
    const missing = await canTrace();
    // deno-lint-ignore no-console
    if (missing !== null) console.log(`Skipped: ${missing}`);
    const [root, outside] = [`${base}/data/models`, `${base}/outside`];
    for (const folder of [root, outside]) await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(`${outside}/secret.gguf`, "secret");
    const payloads = pathPayloads(`${outside}/secret.gguf`);
    assert.ok(payloads.length >= 200, `${payloads.length} payloads`);
    let turn = 0;
    await using peer = await FilePeer.start({
      name: "Mallory",
      bytes: modelFile(100_000),
      mischief: ({ what }) => {
        if (what !== "manifest") return undefined;
        const payload = payloads[turn] ?? "";
        const place = PLACES[turn % PLACES.length] ?? ((_: string, manifest: ModelManifest) => manifest);
        turn++;
        const manifest = place(payload, peer.manifest()) as ModelManifest;
        // Signed as it is: what is hostile has a key, too.
        const bytes = signable(manifest);
        const signature = peer.identity.sign(bytes).toBase64();
        return new TextEncoder().encode(JSON.stringify({ manifest, signed_by: peer.identity.id, signature }));
      },
    });
    const traced = `${base}/trace`;
    const args = [root, peer.identity.id, String(peer.address.port), String(payloads.length)];
    const deno = [Deno.execPath(), "run", "-A", "--quiet", PROGRAM, ...args];
    const [program = "", ...rest] = missing === null
      ? ["strace", "-f", "-y", "-qq", "-s", "4096", "-e", `trace=${CALLS}`, "-o", traced, ...deno]
      : deno;
    const { code, stdout } = await new Deno.Command(program, {
      args: rest,
      env: cleanEnvironment(),
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).output();
    assert.equal(code, 0);
    const told = JSON.parse(new TextDecoder().decode(stdout)) as string[];
    assert.equal(told.length, payloads.length);
    assert.equal(turn, payloads.length, "Each of them was looked at");
    assert.equal(await Deno.readTextFile(`${outside}/secret.gguf`), "secret");
    assert.deepEqual((await Array.fromAsync(Deno.readDir(outside))).map(({ name }) => name), ["secret.gguf"]);
    // What is left of the store is called as this node calls files, and by nothing of what the peer said.
    for (const name of await below(root)) {
      assert.match(
        name,
        /^(?:peers\/library\/tiny-v\d+\/[A-Za-z0-9._+-]+\.gguf|\.parts\/sha256-[0-9a-f]{64}(?:\.part(?:\.have|\.chunks)?)?|\.ark-models\.json)$/,
      );
    }
    if (missing !== null) return;
    const trace = await Deno.readTextFile(traced);
    const paths = pathsOf(trace);
    assert.ok(paths.some((path) => path.startsWith(`${root}/`)), "The trace has what is written");
    assert.deepEqual(paths.filter((path) => path.startsWith(outside) || /shadow|secret/.test(path)), []);
    // What the runtime reads of the program is its own matter; its cache of compiled code is all that it writes beside.
    const written = pathsOf(trace.split("\n").filter((line) => WRITES.test(line)).join("\n"));
    const ours = [`${base}/data/`, "/dev/", "/proc/"];
    const others = written.filter((path) => !ours.some((prefix) => path.startsWith(prefix)) && !/deno/i.test(path));
    assert.deepEqual([...new Set(others)], [], "Nothing but the store is written");
  }));

/** The bytes that are signed, where the texts can be written at all. */
function signable(manifest: ModelManifest): Uint8Array {
  try {
    return manifestBytes(manifest);
  } catch {
    return new Uint8Array(1);
  }
}

/** Absolute paths that the calls of a trace name. */
function pathsOf(trace: string): string[] {
  const paths: string[] = [];
  for (const line of trace.split("\n")) {
    const call = /^\d+ +\w+\((.*)$/.exec(line)?.[1];
    for (
      const [, folder, text = ""] of call?.matchAll(/(?:(?:AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>, )?"((?:[^"\\]|\\.)*)"/g) ??
        []
    ) {
      paths.push(resolve(folder ?? "/", text));
    }
  }
  return paths;
}

async function below(root: string, prefix = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${root}/${prefix}`)) {
    if (isDirectory) found.push(...await below(root, `${prefix}${name}/`));
    else found.push(prefix + name);
  }
  return found;
}
