import type { Identity } from "@ark/node/identity";
import { Bitfield, chunkCount, type ChunkList, isBlobId, type SignedManifest, signManifest } from "@ark/node/protocol";
import type { LocalModel } from "../local_model.ts";
import type { HashedFile, ModelCatalogue } from "../model_catalogue.ts";
import type { BlobHere } from "./blob_here.ts";
import { FileHandles } from "./file_handles.ts";
import { makeManifest } from "./make_manifest.ts";
import type { PartBlob } from "./part_blob.ts";

/** Options of {@linkcode BlobShelf}. */
export interface BlobShelfOptions {
  /** Knows the models that are here, whole. */
  catalogue: Pick<ModelCatalogue, "list" | "watch" | "hashedFiles" | "chunkList">;
  /** Signs the manifests; without it there are none. */
  identity?: Identity;
  /** The time that a manifest names. */
  now?: () => Date;
}

/** A file and the models that it is a part of. */
interface Whole {
  readonly file: HashedFile;
  readonly models: string[];
}

/** A manifest that was made, and what it was made of. */
interface Made {
  readonly of: string;
  readonly signed: Promise<SignedManifest>;
}

/**
 * What this node can give of the files of models: those of the catalogue, in whatever store they lie, as far as their digest
 * was computed here; and the checked chunks of files that are being fetched. Whom it may be given to is asked elsewhere, by the
 * names of the models.
 */
export class BlobShelf implements AsyncDisposable {
  readonly #options: BlobShelfOptions;
  readonly #files = new FileHandles();
  readonly #watch: Disposable;
  readonly #parts = new Map<string, { part: PartBlob; models: readonly string[] }>();
  readonly #made = new Map<string, Made>();
  #index: Map<string, Whole> | null = null;

  /** Gives what a catalogue has, from now on. */
  constructor(options: BlobShelfOptions) {
    this.#options = options;
    this.#watch = options.catalogue.watch(() => {
      this.#index = null;
      const paths = new Set(this.#wholes().values().map(({ file }) => file.path));
      this.#files.keep((path) => paths.has(path));
    });
  }

  /** The file with this SHA-256 (hex), or as much of it as is here; undefined for anything else, whatever it is. */
  find(sha256: string): BlobHere | undefined {
    if (!isBlobId(sha256)) return undefined;
    const whole = this.#wholes().get(sha256);
    if (whole !== undefined) return this.#here(whole.file);
    return this.#parts.get(sha256)?.part;
  }

  /** Where a whole file lies, for whoever wants to install it under another name; undefined where it is not whole. */
  fileOf(sha256: string): HashedFile | undefined {
    return this.#wholes().get(sha256)?.file;
  }

  /** Ids of the models that a file belongs to, in order; none for what is not here. */
  modelsOf(sha256: string): readonly string[] {
    const whole = this.#wholes().get(sha256)?.models ?? [];
    const part = this.#parts.get(sha256)?.models ?? [];
    return [...new Set([...whole, ...part])].sort();
  }

  /**
   * What makes a model, by its id, signed by this node; undefined where it is not here, or not every file's digest is known
   * yet. It is made once for each state of a model; hashes of chunks that are not known yet are computed first.
   */
  async manifest(modelId: string): Promise<SignedManifest | undefined> {
    const { catalogue, identity, now = () => new Date() } = this.#options;
    const model = catalogue.list().find(({ id }) => id === modelId);
    const files = model === undefined ? null : catalogue.hashedFiles(model);
    if (model === undefined || files === null || identity === undefined) return undefined;
    const of = stateOf(model, files);
    const before = this.#made.get(modelId);
    if (before?.of === of) return await before.signed;
    const make = async () => {
      const lists: ChunkList[] = [];
      for (const file of files) lists.push(await catalogue.chunkList(file));
      return signManifest(identity, makeManifest(model, { files, lists, at: now() }));
    };
    const made = { of, signed: make() };
    this.#made.set(modelId, made);
    try {
      return await made.signed;
    } catch (error) {
      if (this.#made.get(modelId) === made) this.#made.delete(modelId);
      throw error;
    }
  }

  /** Gives the checked chunks of a file that is being fetched, too, as a part of some models, until it is disposed of. */
  share(part: PartBlob, models: readonly string[]): Disposable {
    const shared = { part, models: [...models] };
    this.#parts.set(part.sha256, shared);
    return {
      [Symbol.dispose]: () => void (this.#parts.get(part.sha256) === shared && this.#parts.delete(part.sha256)),
    };
  }

  /** Closes its files. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch[Symbol.dispose]();
    this.#parts.clear();
    await this.#files[Symbol.asyncDispose]();
  }

  #here(file: HashedFile): BlobHere {
    const count = chunkCount(file.size);
    return {
      sha256: file.sha256,
      size: file.size,
      complete: true,
      have: Bitfield.full(count),
      version: count,
      chunks: () => this.#options.catalogue.chunkList(file),
      read: (index, into) => this.#files.read(file, index, into),
    };
  }

  #wholes(): Map<string, Whole> {
    if (this.#index !== null) return this.#index;
    const { catalogue } = this.#options;
    const index = this.#index = new Map<string, Whole>();
    const ids = new Set<string>();
    for (const model of catalogue.list()) {
      ids.add(model.id);
      for (const file of catalogue.hashedFiles(model) ?? []) {
        if (file.size === 0) continue;
        const known = index.get(file.sha256);
        if (known === undefined) index.set(file.sha256, { file, models: [model.id] });
        else known.models.push(model.id);
      }
    }
    for (const id of this.#made.keys()) if (!ids.has(id)) this.#made.delete(id);
    return index;
  }
}

/** All that a manifest depends on, as a text. */
function stateOf({ id, template, system, defaults, license }: LocalModel, files: readonly HashedFile[]): string {
  return JSON.stringify({ id, template, system, defaults, license, files });
}
