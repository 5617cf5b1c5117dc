/**
 * A node that is killed in tests: `doomed_node.ts DATA WORKER_LOG`. Its workers have the fake engine, and write what they
 * see to WORKER_LOG. When it is ready it says where its mesh is, as a line of JSON.
 */
import { loadConfig } from "@ark/node/config";
import { startDaemon } from "@ark/node/daemon";
import { ROLES } from "@ark/node/roles";
import { Logger } from "@ark/node/telemetry";
import { workerCommand } from "../inference/local_fixture.ts";
import { FIXTURES } from "./test_node.ts";

const [data = "", workerLog = ""] = Deno.args;
const flags = { data, models: [FIXTURES], listen: "127.0.0.1:0", "mesh-listen": "127.0.0.1:0", "no-mdns": true };
const config = await loadConfig({ flags, env: () => undefined });
const daemon = await startDaemon(config, {
  version: "0.0.0",
  roles: ROLES.filter(({ name }) => config.roles.includes(name)),
  logger: new Logger({ write: () => {} }),
  workerCommand: ["/usr/bin/env", `FAKE_WORKER_LOG=${workerLog}`, ...workerCommand("fake_worker")],
  env: () => undefined,
});
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify({ id: daemon.id, ...daemon.mesh }) + "\n"));
await new Promise(() => setInterval(() => {}, 1_000_000));
