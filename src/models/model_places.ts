import { relative, sep } from "node:path";
import type { FoundModel } from "./found_model.ts";
import { findInHuggingFaceCache } from "./huggingface_cache.ts";
import { findInFolders, type Findings } from "./model_folder.ts";
import type { Alias } from "./model_ids.ts";
import { OllamaStore } from "./ollama_store.ts";
import type { OwnRecords } from "./own_records.ts";

/** Where models are looked for. */
export interface ModelPlacesOptions {
  /** Folders with `*.gguf` files. */
  directories: readonly string[];
  /** This node's own store: a folder with `*.gguf` files, and what is known of them. */
  own?: OwnRecords;
  /** Ollama's store: the folder with `manifests` and `blobs`. Only read. */
  ollama?: string;
  /** The cache of Hugging Face's tools: the folder with `models--ORG--REPO`. Only read. */
  huggingFace?: string;
}

/** All places where models are looked for, as one. */
export class ModelPlaces {
  readonly #options: ModelPlacesOptions;
  readonly #ollama: OllamaStore | null;

  /** Looks nowhere yet. */
  constructor(options: ModelPlacesOptions) {
    this.#options = options;
    this.#ollama = options.ollama === undefined ? null : new OllamaStore(options.ollama);
  }

  /**
   * What may be models, in the order of their keys; a file that is in two places is there once.
   *
   * @throws the signal's reason when it is aborted.
   */
  async find(signal?: AbortSignal): Promise<Findings> {
    const { directories, own, huggingFace } = this.#options;
    await own?.refresh();
    const root = own === undefined ? undefined : await Deno.realPath(own.root).catch(() => own.root);
    const folders = directories.filter((directory) => directory !== own?.root);
    const found = [
      await findInFolders(
        [
          ...own === undefined ? [] : [{ directory: own.root, source: "own" as const }],
          ...folders.map((directory) => ({ directory, source: "folder" as const })),
        ],
        { signal },
      ),
      await this.#ollama?.find(signal) ?? { models: [], faults: [] },
      huggingFace === undefined ? { models: [], faults: [] } : await findInHuggingFaceCache(huggingFace, signal),
    ];
    const seen = new Set<string>();
    const models = found.flatMap(({ models }) => models).filter(({ source, files: [first] }) => {
      const path = first?.path ?? "";
      // Ollama gives one file several names, and each may have settings of its own.
      if (source === "huggingface" && seen.has(path)) return false;
      seen.add(path);
      return true;
    }).map((model) => root === undefined ? model : this.#recorded(model, root));
    const faults = found.flatMap(({ faults }) => faults);
    return {
      models: models.sort((a, b) => a.key < b.key ? -1 : 1),
      faults: own?.fault ? [own.fault, ...faults] : faults,
    };
  }

  /** Second names that the own store remembers. */
  aliases(): Alias[] {
    const aliases = this.#options.own?.contents.aliases ?? {};
    return Object.entries(aliases).map(([name, model]) => ({ name, model }));
  }

  #recorded(model: FoundModel, root: string): FoundModel {
    const path = model.files[0]?.path ?? "";
    if (model.source !== "own" || !path.startsWith(root + sep)) return model;
    const record = this.#options.own?.contents.models[relative(root, path).replaceAll(sep, "/")];
    if (record === undefined) return model;
    const { ref, name, template, system, defaults, license } = record;
    return {
      ...model,
      settings: {
        name,
        names: ref === null ? [] : [ref.toLowerCase()],
        template,
        system,
        defaults,
        ...license === undefined ? {} : { license },
      },
    };
  }
}
