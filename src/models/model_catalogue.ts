import { ArkError, type ChunkList, LIMITS, type ModelRef } from "@ark/node/protocol";
import type { Store } from "@ark/node/store";
import { type Logger, nextBeat } from "@ark/node/telemetry";
import { ChunkListing, type HashedFile } from "./blobs/chunk_listing.ts";
import { type ChunkLists, MemoryChunkLists, storedChunkLists } from "./blobs/chunk_lists.ts";
import { type DigestCache, MemoryDigestCache, storeDigestCache } from "./digest_cache.ts";
import { fileHashes } from "./file_digest.ts";
import type { FoundFile, FoundModel } from "./found_model.ts";
import { readGgufHeader } from "./gguf_header.ts";
import type { LocalModel, ModelFault } from "./local_model.ts";
import { millisecondsOf, unreadable } from "./model_folder.ts";
import { type Alias, type NamedModels, type NamelessModel, nameModels } from "./model_ids.ts";
import { ModelPlaces, type ModelPlacesOptions } from "./model_places.ts";
import { readModel } from "./model_reader.ts";
import { splitDigest } from "./split_model.ts";

/** Options of {@linkcode ModelCatalogue}. */
export interface ModelCatalogueOptions extends ModelPlacesOptions {
  /** Second names of models; each counts as long as no model is called so itself. */
  aliases?: readonly Alias[];
  /** Keeps digests over restarts; without it they are kept in memory. */
  store?: Store;
  /** Keeps digests elsewhere; wins over `store`. */
  digests?: DigestCache;
  /** Keeps lists of chunks elsewhere; wins over `store`. */
  chunkLists?: ChunkLists;
  /** Hears what appears, vanishes and cannot be used. */
  logger?: Pick<Logger, "info" | "warn">;
  /** Time between two scans of {@linkcode ModelCatalogue.run}, in milliseconds. @default {10000} */
  intervalMs?: number;
}

/** Something that may be a model as it was read last: a model that has no id yet, or why there is none. */
interface Entry {
  found: FoundModel;
  /** Everything that was found, as a text: as long as it is the same, nothing is read again. */
  stamp: string;
  model: NamelessModel | null;
  fault: string | null;
  /** The digests of all its files, once they are known. */
  digests: readonly string[] | null;
  /** Whether the lists of chunks of all its files are known. */
  listed: boolean;
  /** Set where hashing failed: not tried again until a file changes. */
  unhashable: boolean;
}

/** An entry of which nothing is known yet. */
const UNKNOWN = { model: null, fault: null, digests: null, listed: false, unhashable: false };

/** The models of this machine. */
export class ModelCatalogue {
  readonly #places: ModelPlaces;
  readonly #aliases: readonly Alias[];
  readonly #digests: DigestCache;
  readonly #lists: ChunkListing;
  readonly #logger: Pick<Logger, "info" | "warn"> | undefined;
  readonly #intervalMs: number;
  #entries = new Map<string, Entry>();
  #named: NamedModels = nameModels([]);
  #placeFaults: readonly ModelFault[] = [];
  #scan: Promise<void> = Promise.resolve();
  #changed = Promise.withResolvers<void>();
  readonly #watchers = new Set<() => void>();

  /** Makes a catalogue that knows nothing until `refresh()` or `run()`. */
  constructor(options: ModelCatalogueOptions) {
    const { store, digests, chunkLists, logger, intervalMs = 10_000, aliases = [] } = options;
    this.#places = new ModelPlaces(options);
    this.#aliases = aliases;
    this.#digests = digests ?? (store === undefined ? new MemoryDigestCache() : storeDigestCache(store));
    this.#lists = new ChunkListing(
      chunkLists ?? (store === undefined ? new MemoryChunkLists() : storedChunkLists(store)),
    );
    this.#logger = logger;
    this.#intervalMs = intervalMs;
  }

  /** The models, in the order of their ids. */
  list(): LocalModel[] {
    return [...this.#named.models];
  }

  /** Calls, until it is disposed of, whenever the list may have changed. */
  watch(changed: () => void): Disposable {
    // The same function may watch twice.
    const watcher = () => changed();
    this.#watchers.add(watcher);
    return { [Symbol.dispose]: () => void this.#watchers.delete(watcher) };
  }

  /**
   * The model that a person means: by its id, by a second name, by its file's name without `.gguf`, or by the bare name
   * (also with `:latest`) where one model has it. Upper and lower case are the same.
   */
  find(ref: ModelRef): LocalModel | undefined {
    return this.#named.find(ref);
  }

  /** Configured second names that do not count since a model is called so itself, each with a sentence. */
  shadowed(): string[] {
    const configured = new Set(this.#aliases.map(({ name }) => name));
    return this.#named.conflicts.filter(({ name }) => configured.has(name)).map(({ reason }) => reason);
  }

  /**
   * Reads a model's headers once more, right before it is handed to the engine: what was written since the last scan has
   * not met the parser yet.
   *
   * @throws {ArkError} `model_not_found` where a file is gone, changed or is no model any more.
   */
  async check({ id, files, size, mtimeMs }: LocalModel): Promise<void> {
    try {
      const infos = await Promise.all(files.map((file) => Deno.stat(file)));
      const sum = infos.reduce((total, info) => total + info.size, 0);
      if (sum === size && Math.max(...infos.map(millisecondsOf)) === mtimeMs) {
        for (const file of files) await readGgufHeader(file);
        return;
      }
    } catch (error) {
      if (error instanceof SyntaxError) {
        throw new ArkError("model_not_found", `The file of ${id} is no model any more: ${error.message}`);
      }
    }
    throw new ArkError("model_not_found", `The file of ${id} was changed or removed just now; ask again in a while`);
  }

  /** Files, folders and second names that cannot be used, each with one sentence. */
  faults(): ModelFault[] {
    const broken = this.#entries.values().filter(({ fault }) => fault !== null);
    return [
      ...this.#placeFaults,
      ...broken.map(({ found, fault }) => ({ path: found.key, reason: fault ?? "" })),
      ...this.#named.conflicts.map(({ name, reason }) => ({ path: name, reason })),
    ];
  }

  /**
   * Looks at all places again. What kept its size and time of change is not read again.
   *
   * @throws the signal's reason when it is aborted.
   */
  refresh(signal?: AbortSignal): Promise<void> {
    // Scans take turns: one that began before a file was written must not be the answer to a later call.
    const scan = this.#scan.catch(() => {}).then(() => this.#refresh(signal));
    this.#scan = scan.catch(() => {});
    return scan;
  }

  /** Keeps the digest of a file that was computed elsewhere, while the file came, and its list of chunks where that is known. */
  async learn(file: Omit<FoundFile, "claimed">, digest: string, list?: ChunkList): Promise<void> {
    await this.#digests.put(file, digest);
    if (list !== undefined) await this.#lists.put(digest, list);
  }

  /** The files of a model in order, with their digests; null while one of them is not known yet. */
  hashedFiles({ files }: Pick<LocalModel, "files">): readonly HashedFile[] | null {
    const [first = ""] = files;
    const entry = this.#entries.values().find(({ found, model, digests }) =>
      model !== null && digests !== null && found.files[0]?.path === first
    );
    if (entry === undefined) return null;
    return entry.found.files.flatMap(({ path, real = path, size, mtimeMs }, index) => {
      const sha256 = entry.digests?.[index];
      return sha256 === undefined ? [] : [{ path: real, size, mtimeMs, sha256 }];
    });
  }

  /**
   * The hashes of a file's chunks: those that are known, else computed now, once for all who ask.
   *
   * @throws {ArkError} `model_not_found` where the file is not what it was.
   */
  chunkList(file: HashedFile): Promise<ChunkList> {
    return this.#lists.of(file);
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
      await nextBeat(this.#intervalMs, { signal });
    }
  }

  async #hash(signal: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => aborted.resolve(), { once: true });
    while (!signal.aborted) {
      const changed = this.#changed.promise;
      const entry = this.#entries.values().find(({ model, unhashable }) => model?.digest === null && !unhashable);
      // A list of chunks is wanted by neighbours only: after all digests.
      const unlisted = this.#entries.values().find(({ digests, listed, unhashable }) =>
        digests !== null && !listed && !unhashable
      );
      if (entry !== undefined) await this.#hashOne(entry, signal);
      else if (unlisted !== undefined) await this.#listOne(unlisted, signal);
      else await Promise.race([changed, aborted.promise]);
    }
  }

  async #listOne(entry: Entry, signal: AbortSignal): Promise<void> {
    try {
      for (const [index, { path, size, mtimeMs }] of entry.found.files.entries()) {
        const sha256 = entry.digests?.[index];
        if (sha256 !== undefined) await this.#lists.of({ path, size, mtimeMs, sha256 }, signal);
      }
      entry.listed = true;
    } catch (error) {
      signal.throwIfAborted();
      entry.unhashable = true;
      this.#logger?.warn("Cannot compute the hashes of a model's pieces", {
        path: entry.found.key,
        reason: error instanceof ArkError ? error.message : unreadable(error),
      });
    }
  }

  async #hashOne(entry: Entry, signal: AbortSignal): Promise<void> {
    const digests: string[] = [];
    for (const file of entry.found.files) {
      const { path, size, mtimeMs } = file;
      try {
        const known = await this.#digests.get(file);
        const hashes = known === undefined ? await fileHashes(path, { signal }) : undefined;
        const digest = known ?? hashes?.sha256 ?? "";
        const now = await Deno.stat(path);
        // A file that was written meanwhile has a digest of nothing: the next scan reads it anew.
        if (now.size !== size || millisecondsOf(now) !== mtimeMs) return void (entry.unhashable = true);
        if (hashes !== undefined) await this.learn(file, digest, hashes.list);
        digests.push(digest);
      } catch (error) {
        signal.throwIfAborted();
        entry.unhashable = true;
        this.#logger?.warn("Cannot compute the digest of a model", { path, reason: unreadable(error) });
        return;
      }
    }
    this.#judge(entry, digests);
    this.#publish();
  }

  /** The digests of an entry's files that are known already. */
  #known({ files }: FoundModel): Promise<(string | undefined)[]> {
    return Promise.all(files.map((file) => this.#digests.get(file)));
  }

  /** Gives an entry its digest where all its files' are known; a file that is not what its store says costs the model. */
  #judge(entry: Entry, digests: readonly (string | undefined)[]): void {
    const { found: { files }, model } = entry;
    if (model === null) return;
    const damaged = files.find(({ claimed }, index) => claimed !== null && (digests[index] ?? claimed) !== claimed);
    if (damaged !== undefined) {
      entry.model = null;
      entry.fault = "The file is damaged: it is not what its store says by its name; fetch it again";
      this.#logger?.warn("A model file cannot be used", { path: damaged.path, reason: entry.fault });
      return;
    }
    const parts = files.flatMap(({ size }, index) => {
      const digest = digests[index];
      return digest === undefined ? [] : [{ digest, size }];
    });
    if (parts.length < files.length) return;
    entry.digests = parts.map(({ digest }) => digest);
    entry.model = { ...model, digest: parts.length === 1 ? parts[0]?.digest ?? null : splitDigest(parts) };
  }

  async #refresh(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const { models, faults } = await this.#places.find(signal);
    const entries = new Map<string, Entry>();
    for (const found of models.slice(0, LIMITS.offeredModels)) {
      const before = this.#entries.get(found.key);
      const stamp = JSON.stringify(found);
      const entry = before?.stamp === stamp ? before : await this.#read(found, { stamp, signal });
      if (entry !== undefined) entries.set(found.key, entry);
    }
    this.#entries = entries;
    this.#placeFaults = faults;
    this.#publish();
  }

  async #read(
    found: FoundModel,
    { stamp, signal }: { stamp: string; signal: AbortSignal | undefined },
  ): Promise<Entry | undefined> {
    let fault: string;
    try {
      const entry: Entry = { found, stamp, ...UNKNOWN, model: await readModel(found, signal) };
      this.#judge(entry, await this.#known(found));
      return entry;
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof Deno.errors.NotFound) return undefined;
      fault = error instanceof SyntaxError ? error.message : unreadable(error);
    }
    this.#logger?.warn("A model file cannot be used", { path: found.key, reason: fault });
    return { found, stamp, ...UNKNOWN, fault };
  }

  #publish(): void {
    const before = this.#named.models;
    const nameless = this.#entries.values().flatMap(({ model }) => model === null ? [] : [model]);
    this.#named = nameModels([...nameless], [...this.#aliases, ...this.#places.aliases()]);
    const { models } = this.#named;
    const [was, is] = [new Set(before.map(({ path }) => path)), new Set(models.map(({ path }) => path))];
    for (const { id, path } of models) if (!was.has(path)) this.#logger?.info("Found a model", { model: id, path });
    for (const { id, path } of before) if (!is.has(path)) this.#logger?.info("A model is gone", { model: id, path });
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
    for (const changed of this.#watchers) changed();
  }
}
