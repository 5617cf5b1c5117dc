import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import project from "../../deno.json" with { type: "json" };
import { NODE_FLAGS, workerPermissions } from "@ark/node/daemon";
import { until } from "../inference/local_fixture.ts";
import { finished, NodeProcess } from "../support/node_process.ts";
import { IMPOSSIBLE, Portable } from "./portable.ts";

const FIXTURES = fileURLToPath(new URL("../fixtures", import.meta.url));
const MODEL = "arkling:9m-q4_0";
const ignore = IMPOSSIBLE !== null;
let portable: Portable;

Deno.test.beforeAll(async () => {
  if (IMPOSSIBLE === null) portable = await Portable.build();
});

Deno.test.afterAll(async () => {
  if (IMPOSSIBLE === null) await portable[Symbol.asyncDispose]();
});

/** A test of the executable, on systems where there is one. */
function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: IMPOSSIBLE === null ? name : `${name} (skipped: ${IMPOSSIBLE})`, ignore, fn });
}

/** Names in a folder, in order. */
async function names(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
}

/** Starts a node from the executable, on free ports of the loopback and without mDNS. */
function startNode(name: string, options: { args?: string[]; cache?: string } = {}): Promise<NodeProcess> {
  const { args = [], cache = portable.cache } = options;
  const env = { ...portable.env, ARK_CACHE: cache };
  return NodeProcess.start({ name, args: ["--no-mdns", ...args], command: portable.command, env });
}

/** Unpacks the executable, and returns the folder of the program. */
async function unpackedIn(cache: string): Promise<string> {
  assert.equal((await portable.run(["--version"], { ARK_CACHE: cache })).code, 0);
  return `${cache}/${(await names(cache))[0]}`;
}

test("It runs from an empty folder where the PATH has neither deno nor node", async () => {
  assert.deepEqual(await portable.run(["--version"]), { code: 0, stdout: `ark-node ${project.version}\n`, stderr: "" });
  const { code, stdout, stderr } = await portable.run(["peers", "approve", "--help"]);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /ark-node peers approve KEY\|ID/);
  assert.deepEqual(await names(portable.here), []);
});

test("It has the system start itself, by the launcher that knows what it may do", async () => {
  await using folder = portable.newCache();
  const data = `${folder.path}/data`;
  const { code, stderr } = await portable.run(["service", "install", "--directory", folder.path, "--data", data]);
  assert.deepEqual([code, stderr], [0, ""]);
  const [file = ""] = (await names(folder.path)).filter((name) => /\.(service|plist)$/.test(name));
  assert.match(await Deno.readTextFile(`${folder.path}/${file}`), /\/ark-node\b[^\n]*--data|\/ark-node<\/string>/);
});

test("Its doctor looks at what no node may read", async () => {
  const data = `${portable.here}/none`;
  const quiet = ["--no-mdns", "--wireguard", "off", "--listen", "127.0.0.1:0", "--mesh-listen", "127.0.0.1:0"];
  const { code, stdout, stderr } = await portable.run(["doctor", "--json", "--data", data, ...quiet]);
  assert.deepEqual([code, stderr], [0, ""], stdout);
  const checks = JSON.parse(stdout).findings.map(({ check }: { check: string }) => check);
  assert.ok(checks.includes("memory"), stdout);
  for (const check of Deno.build.os === "linux" ? ["gpu", "open-files"] : []) assert.ok(checks.includes(check), check);
});

test("Two first starts at once both run, and leave one complete program that only its user can read", async () => {
  await using cache = portable.newCache();
  const starts = await Promise.all([1, 2].map(() => portable.run(["--version"], { ARK_CACHE: cache.path })));
  for (const start of starts) {
    assert.deepEqual(start, { code: 0, stdout: `ark-node ${project.version}\n`, stderr: "" });
  }
  const [name = "", ...more] = await names(cache.path);
  assert.deepEqual(more, []);
  assert.match(name, new RegExp(`^${RegExp.escape(project.version)}-cpu-[0-9a-f]{16}$`));
  for (const folder of [cache.path, `${cache.path}/${name}`]) {
    assert.equal(((await Deno.stat(folder)).mode ?? 0) & 0o777, 0o700);
  }
});

test("Its exit status is the program's, and its sentence is, too", async () => {
  const unknown = await portable.run(["--nosuch"]);
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /^ark-node: .*--nosuch/);
  const absent = await portable.run(["id", "--data", `${portable.here}/nothing`]);
  assert.equal(absent.code, 1);
  assert.match(absent.stderr, /^ark-node: There is no key/);
});

test("Arguments, input, umask, folder and environment arrive as they were given", async () => {
  await using cache = portable.newCache();
  const home = await unpackedIn(cache.path);
  // In the place of the program, one that tells what it got.
  await Deno.writeTextFile(
    `${home}/ark-node`,
    '#!/bin/sh\numask\npwd\nprintf "[%s]" "$@"\nread line\necho "$line $folder"\nexit 42\n',
  );
  const script = `umask 027; cd '${portable.here}'; echo typed | '${portable.file}' a '' 'b  c' '*'; echo "$?"`;
  const { stdout } = await new Deno.Command("/bin/sh", {
    args: ["-c", script],
    env: { ...portable.env, ARK_CACHE: cache.path, folder: "kept" },
    clearEnv: true,
  }).output();
  assert.equal(new TextDecoder().decode(stdout), `0027\n${portable.here}\n[a][][b  c][*]typed kept\n42\n`);
});

test("A program that lost files in its folder is unpacked again", async () => {
  await using cache = portable.newCache();
  const home = await unpackedIn(cache.path);
  await Deno.remove(`${home}/complete`);
  await Deno.remove(`${home}/app`, { recursive: true });
  assert.equal((await portable.run(["--version"], { ARK_CACHE: cache.path })).code, 0);
  assert.equal((await names(cache.path)).length, 1);
});

test("It says in one sentence where it cannot unpack, and that it is damaged", async () => {
  await using loose = portable.newCache();
  await Deno.mkdir(loose.path);
  await Deno.chmod(loose.path, 0o777);
  const refused = await portable.run(["--version"], { ARK_CACHE: loose.path });
  assert.deepEqual([refused.code, refused.stdout], [73, ""]);
  assert.match(refused.stderr, /^ark-node: Cannot unpack into .* \(other users may write there\): .* ARK_CACHE\n$/);
  assert.deepEqual(await names(loose.path), []);

  const damaged = `${portable.here}/../damaged`;
  const bytes = await Deno.readFile(portable.file);
  bytes[20_000_000] = 255 - (bytes[20_000_000] ?? 0);
  await Deno.writeFile(damaged, bytes, { mode: 0o755 });
  // With a program for checksums, and without.
  for (const PATH of ["/usr/bin:/bin", portable.env.PATH ?? ""]) {
    const env = { ...portable.env, PATH, ARK_CACHE: `${portable.here}/nothing` };
    const { code, stderr } = await finished(damaged, { args: ["--version"], env });
    assert.equal(code, 73);
    assert.match(stderr, /^ark-node: This executable is damaged, .*\n$/);
  }
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`${signal} goes to the node itself, which ends with 0, also on a first start`, async () => {
    await using cache = portable.newCache();
    await using node = await startNode("Signal", { cache: cache.path });
    // What unpacks keeps others out, and that is not handed on to the program.
    if (Deno.build.os === "linux") assert.equal(await umaskOf(node.ready.pid), await umaskOf(Deno.pid));
    node.kill(signal);
    assert.equal((await node.ended()).code, 0, node.log);
    assert.match(node.log, /Stopping/);
  });
}

test("Two nodes of it answer one question: asked at one, answered by the other's worker", async () => {
  await using b = await startNode("B", { args: ["--models", FIXTURES, "--threads", "1"] });
  await using a = await startNode("A", { args: ["--peer", b.ready.mesh] });
  await b.json("peers", "approve", a.ready.public_key, "--name", "A");
  await a.json("peers", "approve", b.ready.public_key, "--name", "B");
  await until(async () => {
    const { models } = await a.json<{ models: { id: string }[] }>("models");
    return models.some(({ id }) => id === MODEL);
  });

  const response = await fetch(`${a.ready.api}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: MODEL,
      max_tokens: 8,
      seed: 1,
      messages: [{ role: "user", content: "A small dog" }],
    }),
  });
  const answer = await response.json();
  assert.equal(response.status, 200, `${JSON.stringify(answer)}\n${b.log}`);
  assert.deepEqual([response.headers.get("x-ark-node"), response.headers.get("x-ark-route")], ["B", "peer"]);
  assert.equal(answer.usage.completion_tokens, 8);
  assert.notEqual(answer.choices[0].message.content, "");

  for (const node of [a, b]) assert.equal((await node.cli("audit", "verify")).code, 0);
  // The dashboard's libraries travel, too.
  for (const file of ["", "app.js", "preact.js", "hooks.js", "htm.js", "uplot.js"]) {
    const found = await fetch(`${a.ready.api}/ui/${file}`);
    assert.equal(found.status, 200, file);
    await found.body?.cancel();
  }
  assert.deepEqual(await names(portable.here), []);

  if (Deno.build.os !== "linux") return;
  assert.deepEqual(await workersOf(a.ready.pid), []);
  const [worker = [], ...more] = await workersOf(b.ready.pid);
  assert.deepEqual(more, []);
  // The worker has neither network nor a place to write; the node may run nothing but the worker.
  const home = worker[0]?.replace(/\/deno$/, "") ?? "";
  assert.ok(home.startsWith(`${portable.cache}/`), home);
  // The launcher's text in compile.sh and the command from source allow the same.
  const model = `${FIXTURES}/arkling-9m-q4_0.gguf`;
  assert.deepEqual(
    worker.filter((word) => /^--(allow|v8)/.test(word)).sort(),
    workerPermissions(`${home}/app/node_modules`, [await Deno.realPath(model)]).sort(),
  );
  const node = await commandLine(b.ready.pid);
  assert.deepEqual(allowed(node), ["env", "net", "read", "run", "sys", "write"]);
  assert.deepEqual(node.filter((word) => word.startsWith("--v8")), NODE_FLAGS);
  const tools = "wg,nvidia-smi,loginctl,xprintidle,gamemoded,ioreg";
  assert.ok(
    node.includes(`--allow-run=${home}/ark-node-worker,${tools}`) && node.includes(`--deny-write=${home}`),
    node.join(" "),
  );
  assert.deepEqual(await names(portable.here), []);
});

/** What a command line of deno allows. */
function allowed(command: string[]): string[] {
  return command.flatMap((word) => word === "-A" ? ["all"] : /^--allow-([^=]+)/.exec(word)?.slice(1) ?? []).sort();
}

/** Command lines of the processes that a process started. */
async function workersOf(pid: number): Promise<string[][]> {
  return await Promise.all((await childrenOf(pid)).map(commandLine));
}

async function childrenOf(pid: number): Promise<number[]> {
  const children: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    // Processes end while one looks. The name in brackets may hold anything, what follows it is numbers.
    const [, parent] = /\) . (\d+) /.exec(await Deno.readTextFile(`/proc/${name}/stat`).catch(() => "")) ?? [];
    if (Number(parent) === pid) children.push(Number(name));
  }
  return children;
}

async function commandLine(pid: number): Promise<string[]> {
  return (await Deno.readTextFile(`/proc/${pid}/cmdline`)).split("\0").slice(0, -1);
}

async function umaskOf(pid: number): Promise<string | undefined> {
  return /^Umask:\s*(\d+)/m.exec(await Deno.readTextFile(`/proc/${pid}/status`))?.[1];
}
