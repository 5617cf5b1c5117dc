import { setTimeout as pause } from "node:timers/promises";
import { ArkError, type ModelRef } from "@ark/node/protocol";
import type { Store } from "@ark/node/store";
import type { Logger } from "@ark/node/telemetry";
import { type DigestCache, MemoryDigestCache, storeDigestCache } from "./digest_cache.ts";
import { fileDigest } from "./file_digest.ts";
import { type GgufHeader, readGgufHeader } from "./gguf_header.ts";
import type { LocalModel, ModelFault } from "./local_model.ts";
import { findModelFiles, type ModelFile, unreadable } from "./model_folder.ts";
import { modelName } from "./model_name.ts";

/** Options of {@linkcode ModelCatalogue}. */
export interface ModelCatalogueOptions {
  /** Folders with `*.gguf` files. */
  directories: readonly string[];
  /** Keeps digests over restarts; without it they are kept in memory. */
  store?: Store;
  /** Keeps digests elsewhere; wins over `store`. */
  digests?: DigestCache;
  /** Hears what appears, vanishes and cannot be used. */
  logger?: Pick<Logger, "info" | "warn">;
  /** Time between two scans of {@linkcode ModelCatalogue.run}, in milliseconds. @default {10000} */
  intervalMs?: number;
}

/** A file as it was read last: a model that has no id yet, or why there is none. */
interface Entry {
  file: ModelFile;
  model: Omit<LocalModel, "id"> & { tag: string } | null;
  fault: string | null;
  /** Set where hashing failed: not tried again until the file changes. */
  unhashable: boolean;
}

/** The models in some folders. */
export class ModelCatalogue {
  readonly #directories: readonly string[];
  readonly #digests: DigestCache;
  readonly #logger: Pick<Logger, "info" | "warn"> | undefined;
  readonly #intervalMs: number;
  #entries = new Map<string, Entry>();
  #models: readonly LocalModel[] = [];
  #stems = new Map<string, string>();
  #faults: readonly ModelFault[] = [];
  #scan: Promise<void> = Promise.resolve();
  #changed = Promise.withResolvers<void>();

  /** Makes a catalogue that knows nothing until `refresh()` or `run()`. */
  constructor({ directories, store, digests, logger, intervalMs = 10_000 }: ModelCatalogueOptions) {
    this.#directories = [...directories];
    this.#digests = digests ?? (store === undefined ? new MemoryDigestCache() : storeDigestCache(store));
    this.#logger = logger;
    this.#intervalMs = intervalMs;
  }

  /** The models, in the order of their ids. */
  list(): LocalModel[] {
    return [...this.#models];
  }

  /**
   * The model that a person means: by its id, by its file's name without `.gguf`, or by the bare name (also with
   * `:latest`) where one model has it. Upper and lower case are the same.
   */
  find(ref: ModelRef): LocalModel | undefined {
    const wanted = ref.toLowerCase();
    const byId = this.#models.find((model) => model.id === wanted);
    if (byId !== undefined) return byId;
    const byStem = this.#models.filter((model) => this.#stems.get(model.path) === wanted);
    if (byStem.length === 1) return byStem[0];
    const name = wanted.replace(/:latest$/, "");
    const byName = this.#models.filter((model) => model.name === name);
    return byName.length === 1 ? byName[0] : undefined;
  }

  /**
   * Reads a model's header once more, right before it is handed to the engine: what was written since the last scan has
   * not met the parser yet.
   *
   * @throws {ArkError} `model_not_found` where the file is gone, changed or is no model any more.
   */
  async check({ id, path, size, mtimeMs }: LocalModel): Promise<void> {
    try {
      const now = await Deno.stat(path);
      if (now.size === size && Math.trunc(now.mtime?.getTime() ?? 0) === mtimeMs) {
        await readGgufHeader(path);
        return;
      }
    } catch (error) {
      if (error instanceof SyntaxError) {
        throw new ArkError("model_not_found", `The file of ${id} is no model any more: ${error.message}`);
      }
    }
    throw new ArkError("model_not_found", `The file of ${id} was changed or removed just now; ask again in a while`);
  }

  /** Files and folders that cannot be used, each with one sentence. */
  faults(): ModelFault[] {
    return [...this.#faults];
  }

  /**
   * Looks at the folders again. A file that kept its size and time of change is not read again.
   *
   * @throws the signal's reason when it is aborted.
   */
  refresh(signal?: AbortSignal): Promise<void> {
    // Scans take turns: one that began before a file was written must not be the answer to a later call.
    const scan = this.#scan.catch(() => {}).then(() => this.#refresh(signal));
    this.#scan = scan.catch(() => {});
    return scan;
  }

  /** Scans now and then and computes missing digests, until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await Promise.all([this.#rescan(signal), this.#hash(signal)]);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #rescan(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.refresh(signal);
      await pause(this.#intervalMs, undefined, { signal }).catch(() => {});
    }
  }

  async #hash(signal: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => aborted.resolve(), { once: true });
    while (!signal.aborted) {
      const changed = this.#changed.promise;
      const entry = this.#entries.values().find(({ model, unhashable }) => model?.digest === null && !unhashable);
      if (entry === undefined) await Promise.race([changed, aborted.promise]);
      else await this.#hashOne(entry, signal);
    }
  }

  async #hashOne(entry: Entry, signal: AbortSignal): Promise<void> {
    const { path, size, mtimeMs } = entry.file;
    try {
      const digest = await fileDigest(path, { signal });
      const now = await Deno.stat(path);
      // A file that was written meanwhile has a digest of nothing: the next scan reads it anew.
      if (now.size !== size || Math.trunc(now.mtime?.getTime() ?? 0) !== mtimeMs) entry.unhashable = true;
      else await this.#learn(entry, digest);
    } catch (error) {
      signal.throwIfAborted();
      entry.unhashable = true;
      this.#logger?.warn("Cannot compute the digest of a model", { path, reason: unreadable(error) });
    }
  }

  async #learn(entry: Entry, digest: string): Promise<void> {
    if (entry.model !== null) entry.model = { ...entry.model, digest };
    this.#publish();
    await this.#digests.put(entry.file, digest);
  }

  async #refresh(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const { files, faults } = await findModelFiles(this.#directories, signal);
    const entries = new Map<string, Entry>();
    for (const file of files) {
      const before = this.#entries.get(file.path);
      const same = before?.file.size === file.size && before.file.mtimeMs === file.mtimeMs &&
        before.file.stem === file.stem;
      const entry = same ? before : await this.#read(file, signal);
      if (entry !== undefined) entries.set(file.path, entry);
    }
    this.#entries = entries;
    this.#publish(faults);
  }

  async #read(file: ModelFile, signal: AbortSignal | undefined): Promise<Entry | undefined> {
    let fault: string;
    try {
      const header = await readGgufHeader(file.path, signal === undefined ? {} : { signal });
      const model = describe(header, file);
      const digest = await this.#digests.get(file) ?? null;
      return { file, model: { ...model, digest }, fault: null, unhashable: false };
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof Deno.errors.NotFound) return undefined;
      fault = error instanceof SyntaxError ? error.message : unreadable(error);
    }
    this.#logger?.warn("A model file cannot be used", { path: file.path, reason: fault });
    return { file, model: null, fault, unhashable: false };
  }

  #publish(folderFaults?: readonly ModelFault[]): void {
    const models = withIds(this.#entries.values());
    for (const { id, path } of models) {
      if (!this.#models.some((known) => known.path === path)) this.#logger?.info("Found a model", { model: id, path });
    }
    for (const { id, path } of this.#models) {
      if (!models.some((model) => model.path === path)) this.#logger?.info("A model is gone", { model: id, path });
    }
    this.#models = models;
    this.#stems = new Map(this.#entries.values().map(({ file }) => [file.path, file.stem.toLowerCase()]));
    if (folderFaults !== undefined) {
      const broken = this.#entries.values().filter(({ fault }) => fault !== null);
      this.#faults = [
        ...folderFaults,
        ...broken.map(({ file, fault }) => ({ path: file.path, reason: fault ?? "" })),
      ];
    }
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** Turns a header into a model, or throws a SyntaxError with a sentence on why it is none. */
function describe(header: GgufHeader, file: ModelFile): Omit<LocalModel, "id"> & { tag: string } {
  const { metadata } = header;
  const type = metadata.get("general.type") ?? "model";
  if (type !== "model") throw new SyntaxError("The file is no model of its own but an addition to one");
  if (Number(metadata.get("split.count") ?? 1) > 1) {
    throw new SyntaxError("The file is one part of a split model: join the parts with llama-gguf-split --merge");
  }
  const architecture = metadata.get("general.architecture");
  if (typeof architecture !== "string" || !/^[\w.-]{1,64}$/.test(architecture)) {
    throw new SyntaxError("The file does not name the model's architecture");
  }
  if (header.tensorCount === 0) throw new SyntaxError("The file has no tensors: it is a vocabulary, not a model");
  const contextLength = natural(metadata.get(`${architecture}.context_length`));
  if (contextLength === 0) throw new SyntaxError("The file does not state the model's context length");
  return {
    ...modelName(header, file.stem),
    path: file.path,
    size: file.size,
    mtimeMs: file.mtimeMs,
    architecture,
    contextLength,
    blockCount: natural(metadata.get(`${architecture}.block_count`)),
    parameterCount: header.parameterCount,
    digest: null,
  };
}

/** A count in metadata, or 0 where there is none that makes sense. */
function natural(value: unknown): number {
  const number = typeof value === "bigint" ? Number(value) : value;
  return Number.isInteger(number) && (number as number) > 0 && (number as number) < 2 ** 31 ? number as number : 0;
}

/** Gives each model an id of its own: in the order of their paths, a second `name:tag` becomes `name:tag-2`. */
function withIds(entries: Iterable<Entry>): LocalModel[] {
  const models = [...entries].flatMap(({ model }) => model === null ? [] : [model]);
  const natural = new Set(models.map(({ name, tag }) => `${name}:${tag}`));
  const taken = new Set<string>();
  return models.map(({ tag, ...model }) => {
    const plain = `${model.name}:${tag}`;
    let id = plain;
    for (let n = 2; taken.has(id) || (id !== plain && natural.has(id)); n++) id = `${plain}-${n}`;
    taken.add(id);
    return { id, ...model };
  }).sort((a, b) => a.id < b.id ? -1 : 1);
}
