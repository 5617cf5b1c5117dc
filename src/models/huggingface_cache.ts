import { join } from "node:path";
import type { FoundModel } from "./found_model.ts";
import type { ModelFault } from "./local_model.ts";
import { type Findings, findModelFiles, modelsOf, orMissing } from "./model_folder.ts";
import { type NamedFile, splitName } from "./split_model.ts";

const REPOSITORY_REGEXP = /^models--([\w.-]{1,96})--([\w.-]{1,96})$/;
const REVISION_REGEXP = /^[0-9a-f]{40}$/;

/** Folders of a repository's snapshot that are entered. */
const LEVELS = 2;

/**
 * Finds GGUF files in a cache of Hugging Face's tools: `models--ORG--REPO/snapshots/REVISION/…`, whose files are links to
 * `models--ORG--REPO/blobs/…`. It is read and never written. The snapshot that `refs/main` names comes first; a file that
 * is in several snapshots is there once. Nothing, where there is no such folder.
 */
export async function findInHuggingFaceCache(root: string, signal?: AbortSignal): Promise<Findings> {
  const faults: ModelFault[] = [];
  const models: FoundModel[] = [];
  const entries = await orMissing(Array.fromAsync(Deno.readDir(root)), root, faults) ?? [];
  for (const { name } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    const [, organization, repository] = REPOSITORY_REGEXP.exec(name) ?? [];
    if (organization === undefined || repository === undefined) continue;
    const directory = await orMissing(Deno.realPath(join(root, name)), join(root, name), faults);
    if (directory === undefined) continue;
    const known = new Set<string>();
    for (const revision of await revisions(directory)) {
      const walk = {
        root: directory,
        faults,
        seen: new Set<string>(),
        entered: new Set<string>(),
        levels: LEVELS,
        signal,
      };
      const files = await findModelFiles(join(directory, "snapshots", revision), walk);
      // A model in several files is new where one of them is.
      const fresh = new Set(files.filter(({ path }) => !known.has(path)).map(modelStem));
      models.push(...modelsOf(files.filter((file) => fresh.has(modelStem(file))), "huggingface"));
      for (const { path } of files) known.add(path);
    }
  }
  return { models, faults };
}

function modelStem({ at }: NamedFile): string {
  const stem = at.replace(/\.gguf$/i, "");
  return splitName(stem)?.stem ?? stem;
}

async function revisions(directory: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(join(directory, "snapshots"))).catch(() => []);
  const main = (await Deno.readTextFile(join(directory, "refs", "main")).catch(() => "")).trim();
  const all = entries.filter(({ name, isDirectory }) => isDirectory && REVISION_REGEXP.test(name)).map(({ name }) =>
    name
  );
  return all.sort((a, b) => Number(b === main) - Number(a === main) || (a < b ? -1 : 1));
}
