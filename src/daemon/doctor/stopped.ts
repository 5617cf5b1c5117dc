import { type Config, ConfigError, type DataPaths, loadConfig, type ParsedArgs } from "@ark/node/config";
import type { Finding } from "@ark/node/http";
import { dataDirectoryInUse, runningNode } from "../data_lock.ts";
import { type Check, runChecks, sorted } from "./check.ts";
import { gpuFacts } from "./gpu.ts";
import { modelFindings, modelsWithoutNode } from "./models_here.ts";
import { freePorts } from "./ports.ts";
import { directoryChecks, settingsChecks } from "./surroundings_checks.ts";

/** What is looked at where no node answers. */
export interface StoppedOptions {
  /** The data directory. */
  paths: DataPaths;
  /** Flags of serve, as the node would be started with. */
  flags: ParsedArgs["flags"];
  /** Reads the environment. */
  env(name: string): string | undefined;
}

/** What a doctor finds where no node answers: whether one could start, and everything around it. Never rejects. */
export async function examineStopped({ paths, flags, env }: StoppedOptions): Promise<Finding[]> {
  const held = await dataDirectoryInUse(paths);
  const node = held ? await silentNode(paths) : STOPPED;
  let config: Config;
  try {
    config = await loadConfig({ flags: { ...flags, data: paths.root }, env });
  } catch (error) {
    const reason = error instanceof ConfigError ? error.message : String(error);
    const broken: Finding = { check: "config", level: "danger", sentence: reason.replace(/\.$/, ""), fix: CORRECT };
    return sorted([node, broken, ...await runChecks(directoryChecks(paths, env))]);
  }
  const usable: Finding = {
    check: "config",
    level: "ok",
    sentence: config.file === null
      ? "There is no configuration file, and none is needed"
      : `The configuration ${config.file} can be used`,
  };
  const checks: Check[] = [
    ...directoryChecks(paths, env),
    ...settingsChecks(config, env, { used: () => null, refusing: () => null }),
    // One that holds its ports and does not answer has them rightly.
    ...held ? [] : [{ name: "api-port", what: "the ports", look: (signal: AbortSignal) => freePorts(config, signal) }],
    ...config.roles.includes("compute")
      ? [{
        name: "models",
        what: "the models",
        ms: 20_000,
        look: async (signal: AbortSignal) => {
          const gpu = (await gpuFacts(env))?.devices === "open";
          const models = await modelsWithoutNode(config, signal);
          // How much memory a GPU has is known once a model was loaded there.
          return modelFindings(gpu ? { ...models, memoryBytes: null } : models);
        },
      }]
      : [],
  ];
  return sorted([node, usable, ...await runChecks(checks)]);
}

/** What a command can see of the machine where the node itself may not look. Never rejects. */
export async function examineMachine({ paths, flags, env }: StoppedOptions): Promise<Finding[]> {
  try {
    const config = await loadConfig({ flags: { ...flags, data: paths.root }, env });
    const checks = settingsChecks(config, env, { used: () => null, refusing: () => null });
    return await runChecks(checks.filter(({ name }) => name === "gpu" || name === "wireguard"));
  } catch {
    return [];
  }
}

const CORRECT = "Correct it; 'ark-node config check' says whether it can be used then";

const STOPPED: Finding = {
  check: "node",
  level: "warning",
  sentence: "No node runs with this data directory",
  why: "Its peers and its audit log were not looked at",
  fix: "Start it: ark-node, or where it is a service: sudo systemctl start ark-node",
};

async function silentNode(paths: DataPaths): Promise<Finding> {
  const node = await runningNode(paths);
  const who = node === null ? "A node" : `The node (process ${node.pid}, ${node.api})`;
  return {
    check: "node",
    level: "danger",
    sentence: `${who} has the data directory ${paths.root}, and does not answer`,
    why: "It is just starting, hangs, or was stopped by somebody",
    fix: node === null
      ? "Wait a moment, and look again"
      : `Wait a moment and look again; where it stays so: kill -9 ${node.pid}, and start it again`,
  };
}
