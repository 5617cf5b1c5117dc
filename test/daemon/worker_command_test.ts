import assert from "node:assert/strict";
import { workerCommand } from "@ark/node/daemon";

const isFile = () => false;

Deno.test("workerCommand() is this executable, its launcher for workers, or this program under the same deno", () => {
  const standalone = { standalone: true, execPath: "/opt/ark-node", mainModule: "file:///tmp/x/main.ts", isFile };
  assert.deepEqual(workerCommand(standalone), ["/opt/ark-node", "worker"]);
  const source = {
    standalone: false,
    execPath: "/usr/bin/deno",
    mainModule: "file:///home/me/my%20ark/main.ts",
    isFile,
  };
  assert.deepEqual(workerCommand(source), ["/usr/bin/deno", "run", "-A", "/home/me/my ark/main.ts", "worker"]);
  const launcher = "/cache/ark-node/0.1.0-cpu-0123/ark-node-worker";
  const portable = {
    ...source,
    execPath: "/cache/ark-node/0.1.0-cpu-0123/deno",
    isFile: (path: string) => path === launcher,
  };
  assert.deepEqual(workerCommand(portable), [launcher]);
});
