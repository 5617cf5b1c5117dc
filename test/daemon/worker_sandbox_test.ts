import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { WORKER_BARRIER, workerPermissions, workerProgram } from "@ark/node/daemon";
import { workerEnvironment } from "../../src/inference/worker_environment.ts";
import { FIXTURES, MODEL } from "../mesh/test_node.ts";
import { cleanEnvironment, finished, NodeProcess } from "../support/node_process.ts";
import { withDirectory } from "../support/temporary.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PROBE = fileURLToPath(new URL("../support/forbidden_actions.ts", import.meta.url));
/** Deno with every permission; what is imported from strangers gets into no lock. */
const FREE = [Deno.execPath(), "run", "-A", "--no-lock", "--node-modules-dir=manual"];
const SECRETS = ["node.key", "admin.token", "node.db", "audit.log", "approved_peers.json"];

interface Place {
  /** A data directory as a node has it. */
  data: string;
  /** A model in it. */
  model: string;
  /** Where somebody listens. */
  port: number;
}

/** Makes a data directory with secrets and a model, beside it a listener, and a folder with another model. */
async function withPlace(test: (place: Place) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const data = `${directory}/data, mine`;
    await Deno.mkdir(`${data}/models`, { recursive: true });
    for (const name of SECRETS) await Deno.writeTextFile(`${data}/${name}`, "secret");
    await Deno.writeTextFile(`${data}/code.js`, "export {};");
    await Deno.mkdir(`${directory}/models`);
    const model = `${directory}/models/a.gguf`;
    await Deno.writeTextFile(model, "GGUF");
    await Deno.writeTextFile(`${directory}/models/README.md`, "another file");
    await Deno.writeTextFile(`${data}/models/a.gguf`, "GGUF");
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      () => new Response("export {};"),
    );
    using _socket = Deno.listen({ transport: "unix", path: `${data}/socket` });
    await test({ data, model, port: server.addr.port });
  });
}

/** Runs the list of forbidden actions with a command in which it stands in the program's place. */
async function attempts(
  command: readonly string[],
  place: Place & { confine?: boolean },
): Promise<{ tried: string[]; cameOff: string[] }> {
  const [program = "", ...args] = command;
  const env = workerEnvironment({ ...Deno.env.toObject(), ARK_SECRET: "secret" });
  const { stdout, stderr } = await finished(program, { args: [...args, JSON.stringify(place)], env });
  assert.match(stdout, /^\{/, stderr);
  return JSON.parse(stdout);
}

/** The worker's command from source with the list of forbidden actions in the place of the program. */
function probing({ data, model }: Place): string[] {
  const runtime = {
    standalone: false,
    execPath: Deno.execPath(),
    mainModule: `file://${ROOT}main.ts`,
    shell: true,
    isFile: () => false,
  };
  const command = workerProgram(data, runtime).worker({ files: [model], barrier: false });
  assert.deepEqual(command.slice(-2), [`${ROOT}main.ts`, "worker"]);
  return [...command.slice(0, -2), PROBE];
}

/** Whether the system lets this user make the worker's namespaces. */
async function hasBarrier(): Promise<boolean> {
  const { stdout } = await finished("/bin/sh", {
    args: ["-c", WORKER_BARRIER, "sh", "auto", "", "", "/bin/sh", "-c", "echo $ARK_BARRIER"],
  });
  if (stdout.trim() !== "") return true;
  // deno-lint-ignore no-console
  console.log("Skipped: this system has no unshare and setpriv, or lets this user make no namespaces");
  return false;
}

Deno.test("T58: Of forty forbidden actions a worker can do none, by Deno's permissions alone", async () => {
  await withPlace(async (place) => {
    const { tried, cameOff } = await attempts(probing(place), place);
    assert.deepEqual(cameOff, []);
    assert.ok(tried.length >= 40, `Only ${tried.length} were tried`);
    // The list says something only where the actions come off without the permissions.
    const free = await attempts([...FREE, PROBE], place);
    const impossible = ["ffi: load an addon", "env: the node's secret"];
    const onlyHere = Deno.build.os === "linux" ? [] : tried.filter((name) => /^(process|data: .* root)/.test(name));
    assert.deepEqual(
      tried.filter((name) => !free.cameOff.includes(name) && !impossible.includes(name) && !onlyHere.includes(name))
        .filter((name) => !/WebSocket|run: signal/.test(name)),
      [],
    );
  });
});

Deno.test("T58: A worker that was started with every permission has none left once its model is loaded", async () => {
  await withPlace(async (place) => {
    const command = [...FREE, "--no-prompt", PROBE];
    assert.deepEqual((await attempts(command, { ...place, confine: true })).cameOff, []);
  });
});

Deno.test("T58: Behind the barrier code with every permission reaches no network, no secret and no file to write", async () => {
  if (!await hasBarrier()) return;
  await withPlace(async (place) => {
    for (const model of [place.model, `${place.data}/models/a.gguf`]) {
      const command = ["/bin/sh", "-c", WORKER_BARRIER, "sh", "auto", place.data, model];
      const all = [...command, ...FREE, "--cached-only", PROBE];
      const { cameOff } = await attempts(all, { ...place, model });
      // Its own loopback has nobody on it; a shell may be run, and is behind the barrier as well.
      assert.deepEqual(
        cameOff.filter((name) =>
          /^(net|data|process|write|import)/.test(name) && !["net: resolve a name", "net: listen"].includes(name)
        ),
        [],
      );
    }
    for (const name of SECRETS) assert.equal(await Deno.readTextFile(`${place.data}/${name}`), "secret");
  });
});

Deno.test("WORKER_BARRIER leaves no privilege, no interface and no core file, and keeps status and streams", async () => {
  if (!await hasBarrier()) return;
  await withPlace(async ({ data, model }) => {
    const script = 'cat; grep -c : /proc/net/dev; grep -h "^Cap\\|NoNewPrivs" /proc/self/status; ulimit -c; ls "$0"; ' +
      "echo said >&2; mount -t tmpfs tmpfs /mnt 2>/dev/null || exit 42";
    const child = new Deno.Command("/bin/sh", {
      args: ["-c", WORKER_BARRIER, "sh", "auto", data, model, "/bin/sh", "-c", script, data],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("given\n"));
    await writer.close();
    const { code, stdout, stderr } = await child.output();
    const none = "\t0000000000000000";
    assert.deepEqual(new TextDecoder().decode(stdout).trim().split("\n"), [
      "given",
      "1",
      `CapInh:${none}`,
      `CapPrm:${none}`,
      `CapEff:${none}`,
      `CapBnd:${none}`,
      `CapAmb:${none}`,
      "NoNewPrivs:\t1",
      "0",
    ]);
    assert.equal(new TextDecoder().decode(stderr), "said\n");
    assert.equal(code, 42);
  });
});

Deno.test("WORKER_BARRIER shows all files of a model that lies in the data directory, and no other", async () => {
  if (!await hasBarrier()) return;
  await withPlace(async ({ data }) => {
    const folder = `${data}/models/a model`;
    await Deno.mkdir(folder);
    const files = ["x-00001-of-00002.gguf", "x-00002-of-00002.gguf"].map((name) => `${folder}/${name}`);
    for (const [index, file] of files.entries()) await Deno.writeTextFile(file, `part ${index + 1}\n`);
    await Deno.writeTextFile(`${folder}/another.gguf`, "another");
    const script = 'cat "$0"/models/*/*; ls /proc/self/fd; find "$0" -type f | wc -l; echo "$ARK_BARRIER"';
    const { stdout } = await finished("/bin/sh", {
      args: ["-c", WORKER_BARRIER, "sh", "auto", data, files.join("\n"), "/bin/sh", "-c", script, data],
    });
    const [one, two, ...rest] = stdout.trim().split("\n");
    assert.deepEqual([one, two], ["part 1", "part 2"]);
    assert.ok(!rest.includes("4"), `A file stays open that leads behind the barrier: ${rest.join(" ")}`);
    assert.deepEqual(rest.slice(-2), ["2", "network,data,readonly"]);
  });
});

Deno.test("WORKER_BARRIER runs the worker where the system has nothing to hold it with", async () => {
  const env = { PATH: "/nowhere" };
  const { code, stdout } = await finished("/bin/sh", {
    args: ["-c", WORKER_BARRIER, "sh", "auto", "/no/such", "", "/bin/sh", "-c", 'echo "$ARK_BARRIER."; ulimit -c'],
    env,
  });
  assert.deepEqual([code, stdout], [0, ".\n0\n"]);
});

Deno.test("T58: The worker of a running node is held by Deno and, where it can, by the system; and it answers", async () => {
  const env = { ...cleanEnvironment(), ARK_SECRET: "secret" };
  await using node = await NodeProcess.start({ name: "N", args: ["--no-mdns", "--models", FIXTURES], env });
  const asked = await fetch(`${node.ready.api}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: MODEL, prompt: "The node is", max_tokens: 4 }),
  });
  assert.equal(asked.status, 200, await asked.text());
  const { models } = await node.json<{ models: { loaded: { pid: number; barrier: string[] }[] } }>("status");
  const [worker, ...more] = models.loaded;
  assert.ok(worker !== undefined && more.length === 0);
  assert.match((await node.cli("status")).stdout, /^ {2}held {4}arkling:9m-q4_0: by Deno's permissions/m);
  if (Deno.build.os !== "linux") return;

  const read = (name: string) => Deno.readTextFileSync(`/proc/${worker.pid}/${name}`);
  const command = read("cmdline").split("\0").slice(0, -1);
  const allowed = command.filter((word) => /^(-A|--allow|--v8)/.test(word));
  const model = await Deno.realPath(`${FIXTURES}/arkling-9m-q4_0.gguf`);
  assert.deepEqual(allowed, workerPermissions(`${ROOT}node_modules`, [model]));
  assert.match(read("limits"), /^Max core file size\s+0\s+0\s/m);
  if (!await hasBarrier()) return assert.deepEqual(worker.barrier, []);
  assert.deepEqual(worker.barrier, ["network", "data", "readonly"]);
  assert.match(read("status"), /^CapEff:\t0000000000000000$/m);
  assert.match(read("status"), /^NoNewPrivs:\t1$/m);
  for (const kind of ["net", "mnt", "ipc", "user"]) {
    const [own, its] = [Deno.pid, worker.pid].map((pid) => Deno.readLinkSync(`/proc/${pid}/ns/${kind}`));
    assert.notEqual(its, own, kind);
  }
});
