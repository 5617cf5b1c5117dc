import { createHash } from "node:crypto";
import type { GenerationParameters, ModelManifest } from "@ark/node/protocol";
import { isModelAlias } from "../model_ids.ts";
import { keptText } from "../ollama_manifest.ts";
import type { OwnRecord } from "../own_records.ts";

/** Folder of the store for the files of a manifest: the same for the same files under the same name. */
export function sharedFolder({ model, files }: Pick<ModelManifest, "model" | "files">): string {
  const text = JSON.stringify([model, files.map(({ name, sha256 }) => [name, sha256])]);
  return `shared/${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;
}

/**
 * What is remembered of a model that came with a manifest, beside its files. `name` is what it is called here; without it, as the
 * manifest calls it where that is a name.
 */
export function recordOf(
  { model, template, system, parameters, license }: ModelManifest,
  name: string | null = aliasIn(model),
): Omit<OwnRecord, "files"> {
  return {
    ref: null,
    name,
    template: keptText(template),
    system: keptText(system),
    defaults: carriedParameters(parameters),
    ...license === null ? {} : { license },
  };
}

/**
 * Parameters that travel with a model: how it writes. What would change the engine, or the shape of each answer, is the owner's
 * to say and stays behind.
 */
export function carriedParameters(parameters: GenerationParameters): GenerationParameters {
  const { lora: _, format: __, logit_bias: ___, logprobs: ____, ...carried } = parameters;
  return carried;
}

function aliasIn(model: string): string | null {
  const name = model.toLowerCase();
  return isModelAlias(name) ? name : null;
}
