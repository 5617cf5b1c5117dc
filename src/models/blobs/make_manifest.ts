import { basename } from "node:path";
import {
  ArkError,
  type ChunkList,
  chunkRoot,
  isSafeName,
  manifestBytes,
  type ManifestFile,
  type ModelManifest,
  MOST_MANIFEST_BYTES,
} from "@ark/node/protocol";
import type { LocalModel } from "../local_model.ts";
import type { HashedFile } from "../model_catalogue.ts";
import { partName } from "../split_model.ts";

/** What a manifest is made of, beside the model. */
export interface ManifestParts {
  /** The model's files in order. */
  files: readonly HashedFile[];
  /** Lists of their chunks. */
  lists: readonly ChunkList[];
  /** When it is made. */
  at: Date;
}

/**
 * Writes down what makes a model. A file keeps its name where others can write it; else it is called as the model is.
 *
 * @throws {ArkError} `too_large` where the texts of the model are too long for any manifest.
 */
export function makeManifest(
  { id, template, system, defaults, license, files: paths }: LocalModel,
  { files, lists, at }: ManifestParts,
): ModelManifest {
  const names = namesOf(paths.map((path) => basename(path)), id);
  const manifest: ModelManifest = {
    version: 1,
    model: id,
    files: files.flatMap(({ sha256, size }, index): ManifestFile[] => {
      const [name, list] = [names[index], lists[index]];
      return name === undefined || list === undefined ? [] : [{ name, sha256, size, root: chunkRoot(list) }];
    }),
    template,
    system,
    parameters: defaults,
    license: license ?? null,
    made_at: at.toISOString(),
  };
  if (manifestBytes(manifest).length <= MOST_MANIFEST_BYTES) return manifest;
  throw new ArkError("too_large", `The template, system message and licence of ${id} are too long to be passed on`);
}

/** Names under which files may lie anywhere, distinct in upper and lower case. */
function namesOf(names: readonly string[], id: string): string[] {
  const safe = names.every((name) => isSafeName(name) && /\.gguf$/i.test(name));
  if (safe && new Set(names.map((name) => name.toLowerCase())).size === names.length) return [...names];
  const plain = id.replaceAll(/[^a-z0-9._]+/gi, "-").replaceAll(/\.{2,}/g, ".").slice(0, 100)
    .replaceAll(/^[-._]+|[-._]+$/g, "");
  const stem = isSafeName(`${plain}.gguf`) ? plain : "model";
  return names.length === 1
    ? [`${stem}.gguf`]
    : names.map((_, index) => partName({ stem, part: index + 1, parts: names.length }));
}
