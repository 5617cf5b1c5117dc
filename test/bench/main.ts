// deno-lint-ignore-file no-console
/**
 * The benchmarks: `deno task bench [NAME…]`, all of them without a name. A yardstick comes first.
 *
 * Each measures a baseline in the same run, in turn with what it is compared to, so that a busy machine slows both. They
 * run one after the other: the engine's threads spin. Compare differences and ratios; absolute times are the machine's.
 */
import { auditBench } from "./audit_bench.ts";
import { dashboardBench } from "./dashboard_bench.ts";
import { engineBench } from "./engine_bench.ts";
import { listenerBench } from "./listener_bench.ts";
import { meshBench } from "./mesh_bench.ts";
import { ownerBench } from "./owner_bench.ts";
import { partBench } from "./part_bench.ts";
import { pickBench } from "./pick_bench.ts";
import { registryBench } from "./registry_bench.ts";
import { relayBench } from "./relay_bench.ts";
import { revocationBench } from "./revocation_bench.ts";
import { signatureBench } from "./signature_bench.ts";
import { swarmBench } from "./swarm_bench.ts";
import { throughputBench } from "./throughput_bench.ts";
import { transferBench } from "./transfer_bench.ts";
import { yieldBench } from "./yield_bench.ts";
import { yardstick } from "./yardstick.ts";

const BENCHES: Record<string, () => Promise<void>> = {
  listener: listenerBench,
  mesh: meshBench,
  throughput: throughputBench,
  audit: auditBench,
  revocation: revocationBench,
  owner: ownerBench,
  signature: signatureBench,
  relay: relayBench,
  engine: engineBench,
  pick: pickBench,
  registry: registryBench,
  dashboard: dashboardBench,
  part: partBench,
  transfer: transferBench,
  yield: yieldBench,
  swarm: swarmBench,
};

await yardstick();
const asked = Deno.args.length > 0 ? Deno.args : Object.keys(BENCHES);
for (const name of asked) {
  const bench = BENCHES[name];
  if (bench === undefined) {
    console.error(`There is no benchmark ${name}: they are ${Object.keys(BENCHES).join(", ")}`);
    Deno.exit(2);
  }
  await bench();
}
