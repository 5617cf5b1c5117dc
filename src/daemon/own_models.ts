import type { ModelDescription, ModelKeeper, RunningModel } from "@ark/node/http";
import type { LoadedModel } from "@ark/node/inference";
import { type LocalModel, type PullProgress, readGgufHeader } from "@ark/node/models";
import { ArkError, type GenerationParameters, reasonOf } from "@ark/node/protocol";
import type { OwnEngine } from "./role.ts";

/** Fetches, removes and renames models, where this node has a store of its own. */
interface Stored {
  readonly models?: Required<Pick<ModelKeeper, "pull" | "remove" | "copy">>;
}

/** This node's models as Ollama's API keeps them. */
export function ownModels(
  { backend, catalogue, models }: Pick<OwnEngine, "backend" | "catalogue"> & Stored,
): ModelKeeper {
  const found = (ref: string): LocalModel => {
    const model = catalogue.find(ref);
    if (model !== undefined) return model;
    throw new ArkError("model_not_found", `There is no model ${ref} on this node`);
  };
  return {
    find: (ref) => catalogue.find(ref)?.id ?? null,
    describe: (ref) => describe(found(ref)),
    load: (ref, options) => backend.load(ref, options),
    unload: (ref) => backend.unload(ref),
    running: () => runningOf(backend.loaded()),
    ...models === undefined ? {} : {
      pull: (ref, options) => plainProgress(models.pull(ref, options)),
      remove: (ref) => models.remove(ref),
      copy: (from, to) => models.copy(from, to),
    },
  };
}

/** What clients of Ollama know of a pull, and how fast it is; who gives it is told to the owner alone. */
async function* plainProgress(pull: AsyncIterable<PullProgress>): AsyncGenerator<PullProgress> {
  for await (const { sources: _, wrong: __, seconds_left: ___, ...progress } of pull) yield progress;
}

/** A model that is in memory for two tasks is there once, and leaves with the later one. */
function runningOf(loaded: readonly LoadedModel[]): RunningModel[] {
  const found = new Map<string, RunningModel>();
  for (const { id, bytes, vramBytes, contextSize, expiresAt } of loaded) {
    const other = found.get(id);
    found.set(id, {
      id,
      bytes: bytes + (other?.bytes ?? 0),
      vramBytes: vramBytes + (other?.vramBytes ?? 0),
      contextSize: Math.max(contextSize, other?.contextSize ?? 0),
      expiresAt: expiresAt === null || other?.expiresAt === null ? null : Math.max(expiresAt, other?.expiresAt ?? 0),
    });
  }
  return [...found.values()];
}

/** What a catalogue may know of a model beside what every file says: what Ollama's store has of it. */
type StoredModel = LocalModel & {
  readonly modifiedAt?: number;
  readonly template?: string | null;
  readonly system?: string | null;
  readonly defaults?: GenerationParameters;
};

async function describe(model: StoredModel): Promise<ModelDescription> {
  const { id, path, size, digest, mtimeMs, architecture, parameterCount } = model;
  const { modifiedAt, template, system, defaults } = model;
  const { metadata } = await readGgufHeader(path).catch((error) => {
    throw new ArkError("model_not_found", `The file of ${id} cannot be read any more: ${reasonOf(error)}`);
  });
  const text = (key: string): string | null => {
    const value = metadata.get(key);
    return typeof value === "string" ? value : null;
  };
  return {
    id,
    size,
    digest,
    modifiedAt: modifiedAt ?? mtimeMs,
    architecture,
    parameterCount,
    template: template ?? text("tokenizer.chat_template"),
    system: system ?? null,
    license: text("general.license"),
    defaults: defaults ?? {},
    metadata,
  };
}
