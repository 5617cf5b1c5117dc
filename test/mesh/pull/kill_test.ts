import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { CHUNK_BYTES, chunkCount } from "@ark/node/protocol";
import { until } from "../../inference/local_fixture.ts";
import { cleanEnvironment } from "../../support/node_process.ts";
import { withDirectory } from "../../support/temporary.ts";
import { FilePeer, modelFile } from "./file_peer.ts";
import { LightStore } from "./light_store.ts";
import { filesOf } from "./pulling.ts";

const POINTS = Deno.env.get("ARK_LONG") === "1" ? 50 : 5;
const MODEL = "tiny:1k";
/** Chunks for each point, so that something is left to fetch at all of them. */
const SIZE = (POINTS * 3 + 6) * CHUNK_BYTES + 777;
/** Chunks that a source is asked for at once at most, while so few came from it. */
const LANES = 3;

function start(program: string, args: string[]): Deno.ChildProcess {
  const path = fileURLToPath(new URL(program, import.meta.url));
  const options = { env: cleanEnvironment(), clearEnv: true, stdin: "null", stdout: "piped" } as const;
  return new Deno.Command(Deno.execPath(), { args: ["run", "-A", "--quiet", path, ...args], ...options }).spawn();
}

Deno.test(`A pull that is killed with -9 at ${POINTS} points goes on, loses nothing that was checked, and installs no wrong byte`, () =>
  withDirectory(async (directory) => {
    const bytes = modelFile(SIZE);
    await using peer = await FilePeer.start({ name: "B", bytes, rate: 20e6 });
    const root = `${await Deno.realPath(directory)}/models`;
    await Deno.mkdir(root);
    const args = [root, MODEL, peer.identity.id, String(peer.address.port)];
    for (let point = 1; point <= POINTS; point++) {
      const before = peer.sent;
      const share = (0.2 + Math.random() * 2) * CHUNK_BYTES;
      const child = start("./pull_process.ts", args);
      await until(() => peer.sent >= before + share);
      child.kill("SIGKILL");
      await child.stdout.cancel();
      await child.status;
      assert.deepEqual(await filesOf({ data: directory }), [], "Killed, it is no model");
    }
    const last = start("./pull_process.ts", args);
    await last.stdout.cancel();
    assert.equal((await last.status).code, 0);
    const files = (await filesOf({ data: directory })).filter((path) => path.endsWith(".gguf"));
    assert.equal(files.length, 1);
    assert.equal(sha256(await Deno.readFile(files[0] ?? "")), peer.sha256);
    const again = peer.asked.length - chunkCount(bytes.length);
    assert.ok(again <= POINTS * 2 * LANES, `${again} chunks were fetched again in ${POINTS} resumes`);
    assert.ok(peer.sent <= bytes.length + POINTS * 2 * LANES * CHUNK_BYTES, `${peer.sent}`);
  }));

Deno.test(`A pull whose peer is killed with -9 at ${POINTS} points waits for it, and goes on`, () =>
  withDirectory(async (directory) => {
    const data = await Deno.realPath(directory);
    const root = `${data}/models`;
    await Deno.mkdir(root);
    await Deno.mkdir(`${data}/key`, { mode: 0o700 });
    const serve = async (port: number) => {
      const child = start("./serve_process.ts", [`${data}/key/node.key`, String(SIZE), "8e6", String(port)]);
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      const { value } = await reader.read();
      await reader.cancel();
      const { id, port: at } = JSON.parse(value ?? "{}") as { id: string; port: number };
      return { child, peer: { id, name: "B", address: { hostname: "127.0.0.1", port: at } } };
    };
    let { child, peer } = await serve(0);
    await using light = new LightStore(root, [peer], { limits: { idleMs: 600_000 } });
    let completed = 0;
    const pulling = (async () => {
      for await (const progress of light.store.pull(MODEL, { signal: new AbortController().signal })) {
        completed = progress.completed ?? completed;
      }
    })();
    let over = false;
    pulling.catch(() => {}).finally(() => over = true);
    for (let point = 1; point <= POINTS; point++) {
      const target = completed + (0.1 + Math.random()) * CHUNK_BYTES;
      await until(() => over || completed >= target);
      if (over) await pulling;
      assert.ok(!over, "Something is left to fetch");
      child.kill("SIGKILL");
      await child.status;
      const kept = completed;
      ({ child, peer } = await serve(peer.address.port));
      assert.ok(completed >= kept, "What was checked stays");
    }
    await pulling;
    child.kill("SIGKILL");
    await child.status;
    assert.deepEqual(light.offenders, [], "Whoever dies sends nothing wrong");
    const [file] = (await filesOf({ data })).filter((path) => path.endsWith(".gguf"));
    assert.equal(sha256(await Deno.readFile(file ?? "")), sha256(modelFile(SIZE)));
  }));

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
