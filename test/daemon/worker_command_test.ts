import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { WORKER_BARRIER, workerPermissions, workerProgram } from "@ark/node/daemon";
import { cleanEnvironment, finished } from "../support/node_process.ts";
import { withDirectory } from "../support/temporary.ts";

const HOW = { files: ["/models/a.gguf"], barrier: true };
const PROBE = { gpu: "auto", binding: null, barrier: false } as const;
const PROBE_WORDS = '{"gpu":"auto","binding":null}';
const SHUT = ["/bin/sh", "-c", WORKER_BARRIER, "sh", "auto", "/data", "/models/a.gguf"];
const SOURCE = {
  standalone: false,
  execPath: "/usr/bin/deno",
  mainModule: "file:///home/me/my%20ark/main.ts",
  shell: true,
  isFile: (path: string) => path.endsWith("/deno.json"),
};

Deno.test("workerProgram() starts a compiled executable itself, behind the barrier", () => {
  const program = workerProgram("/data", { ...SOURCE, standalone: true, execPath: "/opt/ark-node" });
  assert.deepEqual(program.worker(HOW), [...SHUT, "/opt/ark-node", "worker"]);
  assert.deepEqual(program.probe(PROBE).slice(-4), ["/opt/ark-node", "worker", "probe", PROBE_WORDS]);
});

Deno.test("workerProgram() starts this program under the same deno with as little as it needs", () => {
  const command = workerProgram("/data", SOURCE).worker(HOW);
  assert.deepEqual(command.slice(0, SHUT.length), SHUT);
  const rest = command.slice(SHUT.length);
  assert.deepEqual(rest.slice(0, 2), ["/usr/bin/deno", "run"]);
  assert.deepEqual(rest.filter((word) => word.startsWith("--allow") || word.startsWith("-A")), [
    "--allow-read=/home/me/my ark/node_modules,/models/a.gguf",
    "--allow-ffi=/home/me/my ark/node_modules",
    "--allow-env",
    "--allow-sys=homedir,uid",
  ]);
  assert.deepEqual(rest.slice(-2), ["/home/me/my ark/main.ts", "worker"]);
  const [program] = workerProgram("C:\\data", { ...SOURCE, shell: false }).worker(HOW);
  assert.equal(program, "/usr/bin/deno");
});

Deno.test("workerProgram() starts from source where Deno has cached nothing but node_modules", async () => {
  // As after an installation by the lock, which fetches packages and never the registry's lists of their versions.
  const mainModule = new URL("../../main.ts", import.meta.url).href;
  const config = fileURLToPath(new URL("../../deno.json", import.meta.url));
  const isFile = (path: string) => path === config;
  const runtime = { standalone: false, execPath: Deno.execPath(), mainModule, shell: false, isFile };
  await withDirectory(async (cache) => {
    const [program = "", ...args] = workerProgram("/data", runtime).probe(PROBE);
    const { code, stdout, stderr } = await finished(program, { args, env: { ...cleanEnvironment(), DENO_DIR: cache } });
    assert.equal(code, 0, stderr);
    assert.equal(typeof JSON.parse(stdout).path, "string");
  });
});

Deno.test("workerProgram() runs nothing but the launcher where there is one", () => {
  const launcher = "/cache/ark-node/0.1.0-cpu-0123/ark-node-worker";
  const execPath = "/cache/ark-node/0.1.0-cpu-0123/deno";
  const program = workerProgram("/data", { ...SOURCE, execPath, isFile: (path) => path === launcher });
  const model = "/models/a,b.gguf";
  assert.deepEqual(program.worker({ files: [model], barrier: false }), [
    launcher,
    "model",
    "off",
    "/data",
    model,
    "/models",
  ]);
  assert.deepEqual(program.probe(PROBE), [launcher, "probe", "off", PROBE_WORDS]);
});

Deno.test("workerPermissions() names the folder where Deno would take a comma for the end of the path", () => {
  const [read, ffi] = workerPermissions("/app/a,b/node_modules", ["/models/,c/d,e.gguf"]);
  assert.deepEqual([read, ffi], ["--allow-read=/app,/models", "--allow-ffi=/app"]);
});
