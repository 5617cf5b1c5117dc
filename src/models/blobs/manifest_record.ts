import { createHash } from "node:crypto";
import type { GenerationParameters, ModelManifest } from "@ark/node/protocol";
import { isModelAlias } from "../model_ids.ts";
import type { OwnRecord } from "../own_records.ts";

/** Folder of the store for the files of a manifest: the same for the same files under the same name. */
export function sharedFolder({ model, files }: Pick<ModelManifest, "model" | "files">): string {
  const text = JSON.stringify([model, files.map(({ name, sha256 }) => [name, sha256])]);
  return `shared/${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;
}

/** What is remembered of a model that came with a manifest, beside its files. */
export function recordOf({ model, template, system, parameters, license }: ModelManifest): Omit<OwnRecord, "files"> {
  const name = model.toLowerCase();
  return {
    ref: null,
    name: isModelAlias(name) ? name : null,
    template,
    system,
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
