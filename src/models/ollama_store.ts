import { join, relative, sep } from "node:path";
import type { FoundFile, FoundModel, StoreSettings } from "./found_model.ts";
import type { ModelFault } from "./local_model.ts";
import { type Findings, millisecondsOf, orMissing } from "./model_folder.ts";
import {
  keptText,
  OLLAMA_TEXT_BYTES,
  ollamaDefaults,
  type OllamaLayer,
  parseOllamaManifest,
} from "./ollama_manifest.ts";

/** Most manifests that are looked at. */
const MOST_MANIFESTS = 4_096;

/** Most licences of one model that are read. */
const MOST_LICENSES = 4;

const PART_REGEXP = /^[\w][\w.-]{0,127}$/;

/** A manifest as it was read last. */
interface Known {
  readonly stamp: string;
  readonly blob: OllamaLayer;
  readonly settings: StoreSettings;
}

/**
 * The models in a folder that belongs to Ollama: `manifests/HOST/NAMESPACE/NAME/TAG` and `blobs/sha256-…`. It is read and
 * never written. A model is called what `ollama list` calls it. Layers:
 *
 * | layer | what becomes of it |
 * |---|---|
 * | model | the file; one that is no GGUF is left out with a sentence |
 * | parameters | the model's `defaults`; `num_ctx` and what else is the node's to decide is left out |
 * | system | stands before a chat that has no system message |
 * | template | kept to be shown; the chat template in the GGUF file is what counts |
 * | adapter | such a model is left out: without it, it would be another model |
 * | licence | kept to be passed on with the model |
 * | projector | left out |
 */
export class OllamaStore {
  readonly #root: string;
  #known = new Map<string, Known>();

  /** Looks at a folder that has `manifests` and `blobs`. */
  constructor(root: string) {
    this.#root = root;
  }

  /** What is there now, in the order of the manifests' paths. Nothing, where there is no such folder. */
  async find(signal?: AbortSignal): Promise<Findings> {
    const faults: ModelFault[] = [];
    const models: FoundModel[] = [];
    const known = new Map<string, Known>();
    const root = join(this.#root, "manifests");
    for (const path of await manifests(root, faults)) {
      signal?.throwIfAborted();
      try {
        const info = await Deno.lstat(path);
        const stamp = `${info.size} ${millisecondsOf(info)}`;
        const before = this.#known.get(path);
        const now = before?.stamp === stamp ? before : await this.#read(path, { root, stamp });
        if (now === null) continue;
        known.set(path, now);
        const file = await this.#blob(now.blob);
        models.push({
          key: path,
          source: "ollama",
          files: [file],
          parts: 1,
          stem: null,
          modifiedAt: millisecondsOf(info),
          settings: now.settings,
        });
      } catch (error) {
        faults.push({ path, reason: faultOf(error) });
      }
    }
    this.#known = known;
    return { models, faults };
  }

  async #read(path: string, { root, stamp }: { root: string; stamp: string }): Promise<Known | null> {
    const layers = parseOllamaManifest(await readText(path));
    const blob = layers.find(({ kind }) => kind === "model");
    // Models of Ollama's cloud have a manifest and no weights.
    if (blob === undefined) return null;
    if (layers.some(({ kind }) => kind === "adapter")) {
      throw new SyntaxError("It is a model with an adapter, which is not supported: it would be another model without");
    }
    const text = async (kind: OllamaLayer["kind"]): Promise<string | null> => {
      const layer = layers.find((one) => one.kind === kind);
      return layer === undefined ? null : await readText(blobPath(this.#root, layer));
    };
    const params = await text("params");
    // A model may have several licences; a text that is missing is no reason to lose the model.
    const licenses = layers.filter(({ kind }) => kind === "license").slice(0, MOST_LICENSES);
    const texts = await Promise.all(licenses.map((layer) => readText(blobPath(this.#root, layer)).catch(() => "")));
    const license = keptText(texts.filter((each) => each !== "").join("\n\n"));
    return {
      stamp,
      blob,
      settings: {
        name: ollamaName(relative(root, path).split(sep)),
        names: [],
        template: keptText(await text("template")),
        system: keptText(await text("system")),
        defaults: params === null ? {} : ollamaDefaults(params),
        ...license === null ? {} : { license },
      },
    };
  }

  async #blob(layer: OllamaLayer): Promise<FoundFile> {
    const path = await Deno.realPath(blobPath(this.#root, layer));
    const info = await Deno.stat(path);
    if (!info.isFile) throw new SyntaxError("Its weights are not a file");
    if (info.size !== layer.size) {
      throw new SyntaxError(
        `Its weights have ${info.size} bytes and should have ${layer.size}: pull it again with ollama`,
      );
    }
    return { path, size: info.size, mtimeMs: millisecondsOf(info), claimed: layer.sha256 };
  }
}

/** What Ollama calls a model whose manifest lies in such folders: without the host and namespace that it takes for granted. */
export function ollamaName(parts: readonly string[]): string {
  const [host = "", namespace = "", name = "", tag = ""] = parts;
  const owner = namespace === "library" ? "" : `${namespace}/`;
  const server = host === "registry.ollama.ai" ? "" : `${host}/${owner === "" ? "library/" : ""}`;
  return `${server}${owner}${name}:${tag}`.toLowerCase();
}

function blobPath(root: string, { sha256 }: OllamaLayer): string {
  return join(root, "blobs", `sha256-${sha256}`);
}

/** Paths of all manifests, four levels deep, in order. */
async function manifests(root: string, faults: ModelFault[]): Promise<string[]> {
  let level = [root];
  for (let depth = 0; depth < 4; depth++) {
    const next: string[] = [];
    for (const directory of level) {
      const entries = await orMissing(Array.fromAsync(Deno.readDir(directory)), directory, faults) ?? [];
      const wanted = entries.filter(({ name, isDirectory, isFile }) =>
        PART_REGEXP.test(name) && (depth < 3 ? isDirectory : isFile)
      );
      next.push(...wanted.map(({ name }) => join(directory, name)));
    }
    level = next.sort().slice(0, MOST_MANIFESTS);
  }
  return level;
}

async function readText(path: string): Promise<string> {
  const { size, isFile } = await Deno.stat(path);
  if (!isFile || size > OLLAMA_TEXT_BYTES) throw new SyntaxError(`It refers to a text that is longer than 1 MiB`);
  return await Deno.readTextFile(path);
}

function faultOf(error: unknown): string {
  if (error instanceof SyntaxError) return `The model of Ollama's store cannot be used: ${error.message}`;
  if (error instanceof Deno.errors.NotFound) {
    return "A part of this model is missing in Ollama's store: pull it again with ollama";
  }
  return "The model of Ollama's store cannot be read: its files may belong to another user";
}
