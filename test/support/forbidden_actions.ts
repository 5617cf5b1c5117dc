/**
 * Tries what a worker must not be able to do, and prints as JSON which came off. Started in the place of the program, with
 * the worker's own permissions. Its argument is JSON: `{ data, model, port }`, the node's data directory, the worker's
 * model, and a port of the loopback where somebody listens; with `confine` it first gives up what a worker gives up that
 * has loaded its model.
 */
import * as childProcess from "node:child_process";
import dns from "node:dns/promises";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import process from "node:process";
import { confineOnceLoaded } from "../../src/inference/worker/confine.ts";

const { data, model, port, confine = false } = JSON.parse(Deno.args[0] ?? "{}") as {
  data: string;
  model: string;
  port: number;
  confine?: boolean;
};
const LIBC = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6", "/usr/lib/libSystem.B.dylib"];
const folder = model.slice(0, model.lastIndexOf("/"));

/** What is tried. Each either throws, or it came off. */
const ACTIONS: Record<string, () => unknown> = {
  "net: connect": async () => (await Deno.connect({ hostname: "127.0.0.1", port })).close(),
  "net: connect of node:net": () =>
    new Promise((resolve, reject) => {
      const socket = net.connect(port, "127.0.0.1", () => resolve(socket.destroy()));
      socket.on("error", reject);
    }),
  "net: fetch": async () => await (await fetch(`http://127.0.0.1:${port}/`)).text(),
  "net: WebSocket": () =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
      socket.onopen = resolve;
      socket.onerror = () => reject(new Error("refused"));
    }),
  "net: listen": () => Deno.listen({ hostname: "127.0.0.1", port: 0 }).close(),
  "net: resolve a name": () => dns.lookup("localhost"),
  "net: a socket of the system": async () =>
    (await Deno.connect({ transport: "unix", path: `${data}/socket` })).close(),
  "data: read the key": () => Deno.readTextFileSync(`${data}/node.key`),
  "data: read the key by node:fs": () => fs.readFileSync(`${data}/node.key`),
  "data: read the admin token": () => Deno.readTextFileSync(`${data}/admin.token`),
  "data: read the database": () => Deno.readFileSync(`${data}/node.db`),
  "data: read the audit log": () => fs.openSync(`${data}/audit.log`, "r"),
  "data: read the approved peers": () => Deno.readTextFileSync(`${data}/approved_peers.json`),
  "data: import a file": () => import(`file://${data}/code.js`),
  "data: read the key by the node's root": () => Deno.readTextFileSync(`/proc/${Deno.ppid}/root${data}/node.key`),
  "process: read the node's environment": () => Deno.readTextFileSync(`/proc/${Deno.ppid}/environ`),
  "process: read the node's memory": () => fs.closeSync(fs.openSync(`/proc/${Deno.ppid}/mem`, "r")),
  "read: list the data directory": () => [...Deno.readDirSync(data)],
  "read: list the folder of the model": () => [...Deno.readDirSync(folder)],
  "read: another file beside the model": () => Deno.readTextFileSync(`${folder}/README.md`),
  "read: the users of the system": () => Deno.readTextFileSync("/etc/passwd"),
  "write: into the data directory": () => Deno.writeTextFileSync(`${data}/new`, "x"),
  "write: beside the model": () => fs.writeFileSync(`${folder}/new`, "x"),
  "write: over the model": () => Deno.openSync(model, { write: true }).close(),
  "write: cut the model": () => Deno.truncateSync(model, 0),
  "write: rename the model": () => {
    Deno.renameSync(model, `${model}.old`);
    Deno.renameSync(`${model}.old`, model);
  },
  "write: change who may read": () => Deno.chmodSync(model, 0o777),
  "write: make a folder": () => Deno.mkdirSync(`${folder}/folder`),
  "write: make a link": () => Deno.symlinkSync(`${data}/node.key`, `${folder}/link`),
  "write: a temporary file": () => Deno.makeTempFileSync(),
  "run: a shell": () => new Deno.Command("/bin/sh", { args: ["-c", ":"] }).outputSync(),
  "run: a shell by node": () => {
    const { stdout } = childProcess.spawnSync("/bin/sh", ["-c", "echo ran"]);
    if (stdout?.toString() !== "ran\n") throw new Error("It did not run");
  },
  "run: itself with every permission": () => new Deno.Command(Deno.execPath(), { args: ["eval", "0"] }).outputSync(),
  "run: signal the node": () => Deno.kill(Deno.ppid, "SIGCONT"),
  "ffi: load a library of the system": () => {
    Deno.dlopen(LIBC.find((path) => path.includes(Deno.build.arch)) ?? LIBC[2] ?? "", {
      getpid: { parameters: [], result: "i32" },
    });
  },
  "ffi: load an addon": () => process.dlopen({ exports: {} }, `${folder}/README.md`),
  "sys: name of the machine": () => Deno.hostname(),
  "sys: network interfaces": () => os.networkInterfaces(),
  "env: the node's secret": () => {
    if (Deno.env.get("ARK_SECRET") === undefined) throw new Error("absent");
  },
  "import: from a server": () => import(`http://127.0.0.1:${port}/code.js`),
  "permission: ask for more": async () => {
    const { state } = await Deno.permissions.request({ name: "net" });
    if (state !== "granted") throw new Error("denied");
  },
  "write: remove the model": () => Deno.removeSync(model),
};

if (confine) await confineOnceLoaded();
const cameOff: string[] = [];
for (const [name, act] of Object.entries(ACTIONS)) {
  try {
    await act();
    cameOff.push(name);
  } catch {
    // That is how it should be.
  }
}
// What a worker is for: it still reads its model.
if (!confine && !cameOff.includes("write: remove the model")) Deno.readFileSync(model);
await Deno.stdout.write(new TextEncoder().encode(JSON.stringify({ tried: Object.keys(ACTIONS), cameOff }) + "\n"));
Deno.exit(0);
