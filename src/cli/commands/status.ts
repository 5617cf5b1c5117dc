import type { LoadedModel, LoadingModel } from "@ark/node/inference";
import type { SharingDetails } from "@ark/node/http";
import type { UpstreamStatus } from "@ark/node/routing";
import { type Command, EXIT } from "../command.ts";
import { NodeClient } from "../node_client.ts";

/** What `GET /status` answers. */
interface NodeStatus {
  node_id: string;
  name: string;
  version: string;
  roles: string[];
  pid: number;
  uptime_s: number;
  api: string;
  mesh: string;
  models: { here: number; within_reach: number; loaded: LoadedModel[]; loading: LoadingModel[]; queued: number };
  peers: { approved: number; ready: number; pending: number };
  sharing: SharingDetails | null;
  upstreams: UpstreamStatus[];
  faults: string[];
}

/** Shows how the running node stands. */
export const STATUS: Command = {
  name: "status",
  summary: "Show how the running node stands",
  usage: "",
  flags: {},
  async run(context) {
    const { out } = context;
    const node = await NodeClient.find(context);
    const status = await node.call<NodeStatus>("/status");
    if (context.json) {
      out.json(status);
      return EXIT.ok;
    }
    const { models, peers } = status;
    const loaded = models.loaded.map((model) => {
      const { gpu, busy, running, slots } = model;
      return `${named(model)} (${gpu ?? "CPU"}${busy ? `, ${running} of ${slots} slots busy` : ""})`;
    }).join(", ");
    const waiting = models.queued > 0 ? `, ${models.queued} waiting` : "";
    out.line(`${status.name}  ${status.roles.join(", ")}  ark-node ${status.version}, up ${duration(status.uptime_s)}`);
    out.line(`  id      ${status.node_id}`);
    out.line(`  api     ${status.api}/v1`);
    out.line(`  mesh    ${status.mesh}`);
    out.line(
      `  models  ${models.here} here, ${models.within_reach} within reach${
        loaded ? `; in memory: ${loaded}` : ""
      }${waiting}`,
    );
    for (const { id, fraction } of models.loading) out.line(`  loading ${id}: ${Math.floor(fraction * 100)} %`);
    for (const model of models.loaded) out.line(`  held    ${named(model)}: ${heldBy(model.barrier)}`);
    for (const { name, url, ready, models } of status.upstreams) {
      out.line(`  server  ${name} (${url}): ${ready ? `${models} models` : "cannot be used"}`);
    }
    out.line(`  peers   ${peers.approved} approved, ${peers.ready} ready; ${peers.pending} waiting for your approval`);
    if (status.sharing !== null) out.line(`  sharing ${status.sharing.sentence}`);
    for (const fault of status.faults) out.line(`  fault   ${fault}`);
    return EXIT.ok;
  },
};

/** A model, and what it is in memory for where that is not to write: it may be there once for each. */
function named({ id, task }: LoadedModel): string {
  return task === "generate" ? id : `${id} to ${task}`;
}

/** What keeps an engine from doing harm, in words. */
function heldBy(barrier: readonly string[]): string {
  const names: Record<string, string> = {
    network: "no network",
    data: "no data directory",
    readonly: "nothing to write",
  };
  const kept = barrier.flatMap((name) => names[name] ?? []);
  return kept.length === 0
    ? "by Deno's permissions alone; this system has no namespaces for it"
    : `by Deno's permissions and the system (${kept.join(", ")})`;
}

function duration(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} days`;
}
