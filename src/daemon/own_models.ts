import type { ModelDescription, ModelKeeper } from "@ark/node/http";
import { type LocalModel, readGgufHeader } from "@ark/node/models";
import { ArkError, reasonOf } from "@ark/node/protocol";
import type { OwnEngine } from "./role.ts";

/** This node's models as Ollama's API keeps them. */
export function ownModels({ backend, catalogue }: OwnEngine): ModelKeeper {
  const found = (ref: string): LocalModel => {
    const model = catalogue.find(ref);
    if (model !== undefined) return model;
    throw new ArkError("model_not_found", `There is no model ${ref} on this node`);
  };
  return {
    find: (ref) => catalogue.find(ref)?.id ?? null,
    describe: (ref) => describe(found(ref)),
    running: () =>
      backend.loaded().flatMap(({ id, contextSize }) => {
        const model = catalogue.find(id);
        return model === undefined ? [] : [{ id, bytes: model.size, vramBytes: 0, contextSize, expiresAt: null }];
      }),
  };
}

async function describe(model: LocalModel): Promise<ModelDescription> {
  const { id, path, size, digest, mtimeMs, architecture, parameterCount } = model;
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
    modifiedAt: mtimeMs,
    architecture,
    parameterCount,
    template: text("tokenizer.chat_template"),
    license: text("general.license"),
    defaults: {},
    metadata,
  };
}
