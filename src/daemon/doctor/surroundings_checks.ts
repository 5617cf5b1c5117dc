import type { Config } from "@ark/node/config";
import type { DataPaths } from "@ark/node/config";
import { autostart } from "./autostart.ts";
import type { Check } from "./check.ts";
import { dataPlace, diskFacts, modelDisk } from "./disks.ts";
import { examine } from "./examine.ts";
import { gpuFacts, gpuFindings, type GpuWish, inContainer } from "./gpu.ts";
import { limits } from "./limits.ts";
import { multicast } from "./multicast.ts";
import { namedPeers } from "./named_peers.ts";
import { servers } from "./servers.ts";
import { stillFacts } from "./still_facts.ts";
import { wireguard } from "./wireguard.ts";

type Environment = (name: string) => string | undefined;

/** What can be looked at in a data directory and around it, be a node running or not. */
export function directoryChecks(paths: DataPaths, env: Environment): Check[] {
  return [
    {
      name: "private-files",
      what: "the data directory",
      look: async () => examine(await stillFacts(paths, env), null),
    },
    {
      name: "data-place",
      what: "the disk of the data directory",
      look: async () => dataPlace(await diskFacts(paths.root), { container: await inContainer(env) }),
    },
    {
      name: "models-disk",
      what: "the disk of the models",
      look: async () => modelDisk(await diskFacts(paths.models)),
    },
    { name: "autostart", what: "the services of this machine", look: () => autostart(env) },
  ];
}

/** What can be looked at on a machine and in its network, with the settings of a node. */
export function settingsChecks(
  config: Config,
  env: Environment,
  { used, refusing }: { used(): GpuWish["used"]; refusing(): string | null },
): Check[] {
  const compute = config.roles.includes("compute");
  return [
    { name: "multicast", what: "multicast", look: (signal) => multicast(config, signal) },
    { name: "named-peers", what: "the nodes of --peer", ms: 12_000, look: (signal) => namedPeers(config, signal) },
    { name: "wireguard", what: "WireGuard", look: (signal) => wireguard(config, signal) },
    { name: "upstream", what: "the servers that you named", ms: 8_000, look: (signal) => servers(config, signal) },
    { name: "memory", what: "memory and limits", look: () => limits({ refusing: refusing() }) },
    ...compute
      ? [{
        name: "gpu",
        what: "the GPU",
        look: async () => gpuFindings(await gpuFacts(env), { asked: config.gpu, used: used() }),
      }]
      : [],
  ];
}
