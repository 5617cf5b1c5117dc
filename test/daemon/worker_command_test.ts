import assert from "node:assert/strict";
import { workerCommand } from "@ark/node/daemon";

Deno.test("workerCommand() is this executable, or this program under the same deno", () => {
  const standalone = { standalone: true, execPath: "/opt/ark-node", mainModule: "file:///tmp/x/main.ts" };
  assert.deepEqual(workerCommand(standalone), ["/opt/ark-node", "worker"]);
  const source = { standalone: false, execPath: "/usr/bin/deno", mainModule: "file:///home/me/my%20ark/main.ts" };
  const command = workerCommand(source);
  assert.equal(command[0], "/usr/bin/deno");
  assert.equal(command[1], "run");
  assert.deepEqual(command.slice(-2), ["/home/me/my ark/main.ts", "worker"]);
});
