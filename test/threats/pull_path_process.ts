/** Pulls models whose manifests come from a hostile peer, in a process that a test traces: ROOT ID PORT COUNT. */
import { LightStore } from "../mesh/pull/light_store.ts";

const [root = "", id = "", port = "", count = ""] = Deno.args;
const address = { hostname: "127.0.0.1", port: Number(port) };
await using light = new LightStore(root, [{ id, name: "Mallory", address }]);
const told: string[] = [];
for (let turn = 0; turn < Number(count); turn++) {
  const stop = AbortSignal.timeout(20_000);
  try {
    let status = "";
    for await (const progress of light.store.pull(`tiny:v${turn}`, { signal: stop })) status = progress.status;
    told.push(status);
  } catch (error) {
    told.push(error instanceof Error ? error.message : String(error));
  }
}
// deno-lint-ignore no-console
console.log(JSON.stringify(told));
