import type { Config } from "@ark/node/config";
import type { Finding } from "@ark/node/http";
import { leastModelBytes, readMemory } from "@ark/node/inference";
import { type LocalModel, ModelCatalogue, type ModelFault, OwnRecords } from "@ark/node/models";
import { size } from "./size.ts";
import { shellWord } from "./typed_word.ts";

/** What is known of the models of this machine. */
export interface ModelFacts {
  /** Those that can be used, with the names that others may have for them. */
  models: readonly LocalModel[];
  /** What cannot be used. */
  faults: readonly ModelFault[];
  /** Memory that there is for models, in bytes, or null: that of the machine, and of the GPU where that is more. */
  memoryBytes: number | null;
  /** Models that are to be in memory from the start. */
  wanted: readonly string[];
  /** Whether a model of that name is here. */
  has(name: string): boolean;
  /** Why a model does not run at the moment, in a sentence, or null. */
  failure?(name: string): string | null;
}

const MOST_SHOWN = 8;

/** Models where no node runs: their headers are read, and nothing is computed. */
export async function modelsWithoutNode(config: Config, signal: AbortSignal): Promise<ModelFacts> {
  const { ollama, huggingFace } = config.modelStores;
  // The node makes its own folder at its first start.
  const own = await Deno.stat(config.paths.models).then(() => true, () => false);
  const catalogue = new ModelCatalogue({
    directories: config.modelDirectories.filter((path) => own || path !== config.paths.models),
    aliases: config.aliases,
    ...own ? { own: new OwnRecords(config.paths.models) } : {},
    ...ollama === null ? {} : { ollama },
    ...huggingFace === null ? {} : { huggingFace },
  });
  await catalogue.refresh(signal);
  return {
    models: catalogue.list(),
    faults: catalogue.faults(),
    memoryBytes: (await readMemory()).totalBytes,
    wanted: [...config.preload, ...config.pinned],
    has: (name) => catalogue.find(name) !== undefined,
  };
}

/** Whether what is here can be used. Pure. */
export function modelFindings({ models, faults, memoryBytes, wanted, has, failure }: ModelFacts): Finding[] {
  const found: Finding[] = faults.slice(0, MOST_SHOWN).map(({ path, reason }) => fault(path, reason));
  if (faults.length > MOST_SHOWN) {
    found.push({
      check: "models",
      level: "warning",
      sentence: `${faults.length - MOST_SHOWN} more files or folders of models cannot be used`,
      fix: "Mend those that are shown first, and look again",
    });
  }
  const tooLarge = models.filter((model) => memoryBytes !== null && leastModelBytes(model) > memoryBytes);
  for (const model of tooLarge.slice(0, MOST_SHOWN)) {
    found.push({
      check: "model-memory",
      level: "warning",
      sentence: `The model ${model.id} needs ${size(leastModelBytes(model))} of memory, and there are ${
        size(memoryBytes ?? 0)
      }`,
      why: "It is not loaded here, since it would be read from the disk again for each token",
      fix: "Take a smaller one or a stronger quantisation of it, or leave it to a neighbour with more memory",
    });
  }
  for (const { id } of models) {
    const reason = tooLarge.some((model) => model.id === id) ? null : failure?.(id) ?? null;
    if (reason === null || found.length >= 4 * MOST_SHOWN) continue;
    found.push({
      check: "engine",
      level: "warning",
      sentence: `The model ${id} could not be loaded the last time`,
      why: reason.replace(/\.$/, "").slice(0, 300),
      fix:
        `Ask it again (ark-node ask ${id} "Hello"); where it fails, try --engine addon or --gpu off, and see the log`,
    });
  }
  for (const name of wanted.filter((name) => !has(name)).slice(0, MOST_SHOWN)) {
    found.push({
      check: "wanted-models",
      level: "warning",
      sentence: `There is no model ${name} here, which --pin or --preload names`,
      fix: `Fetch it (ark-node models pull ${name}), or correct the name: ark-node models lists those that are here`,
    });
  }
  if (found.length > 0) return found;
  const sentence = models.length === 0
    ? "There is no model here; those of approved peers can be used: ark-node models pull fetches one"
    : `${models.length === 1 ? "The model" : `All ${models.length} models`} here can be used`;
  return [{ check: "models", level: "ok", sentence }];
}

function fault(path: string, reason: string): Finding {
  const missing = /no such folder/i.test(reason);
  const denied = /permission denied/i.test(reason);
  const quoted = shellWord(path);
  return {
    check: "models",
    level: "warning",
    sentence: missing ? `There is no folder ${path} for models` : `The model file or folder ${path} cannot be used`,
    ...missing ? {} : { why: reason.replace(/\.$/, "").slice(0, 300) },
    fix: missing
      ? `Make it (mkdir -p ${quoted}), mount the disk that it is on, or correct --models`
      : denied
      ? `Let the node's user read it: chmod a+rX ${quoted}`
      : "Fetch it again (ark-node models pull), or remove it",
  };
}
