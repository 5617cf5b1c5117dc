import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { reasonOf } from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";
import { Pack } from "./pack.ts";
import { isPackName, MOST_PACKS } from "./pack_info.ts";
import { clusterCache } from "./zim/zim_clusters.ts";
import { ZimFileSource } from "./zim/zim_source.ts";

/** Options of {@linkcode PackShelf}. */
export interface PackShelfOptions {
  /** Folders with `*.zim` files. */
  directories: readonly string[];
  /** Says what comes, goes and cannot be read. */
  logger?: Pick<Logger, "info" | "warn">;
}

/** A file that was looked at. */
interface Looked {
  name: string;
  size: number;
  mtimeMs: number;
  source: ZimFileSource | null;
  pack: Pack | null;
}

const EVERY_MS = 30_000;

/** The content packs of this machine. */
export class PackShelf implements AsyncDisposable {
  readonly #directories: readonly string[];
  readonly #logger: PackShelfOptions["logger"];
  readonly #cache = clusterCache();
  #files = new Map<string, Looked>();
  #refreshing: Promise<void> | null = null;

  /** Makes a shelf that has not looked yet. */
  constructor({ directories, logger }: PackShelfOptions) {
    this.#directories = directories;
    this.#logger = logger;
  }

  /** All packs, by name. Of two files of one name the first folder's counts. */
  list(): Pack[] {
    const packs = new Map<string, Pack>();
    for (const { name, pack } of this.#files.values()) {
      if (pack !== null && !packs.has(name.toLowerCase())) packs.set(name.toLowerCase(), pack);
    }
    return [...packs.values()].sort((a, b) => a.info.name < b.info.name ? -1 : 1);
  }

  /** A pack by its name, in any case. */
  find(name: string): Pack | undefined {
    const wanted = name.toLowerCase();
    return this.list().find(({ info }) => info.name.toLowerCase() === wanted);
  }

  /** Looks which files there are now. A file that cannot be read is named in the log, and the others work. */
  refresh(): Promise<void> {
    return this.#refreshing ??= this.#look().finally(() => {
      this.#refreshing = null;
    });
  }

  /** Looks every half a minute until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.refresh();
      await pause(EVERY_MS, undefined, { signal }).catch(() => {});
    }
  }

  /** Closes all files. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#refreshing;
    const files = [...this.#files.values()];
    this.#files = new Map();
    for (const { source } of files) await source?.[Symbol.asyncDispose]();
  }

  async #look(): Promise<void> {
    const before = this.#files;
    const after = new Map<string, Looked>();
    for (const directory of this.#directories) {
      for (const file of await this.#filesIn(directory)) {
        if (after.size >= MOST_PACKS) break;
        const path = join(directory, file);
        const info = await Deno.stat(path).catch(() => null);
        if (info === null || !info.isFile) continue;
        const known = before.get(path);
        const mtimeMs = info.mtime?.getTime() ?? 0;
        const same = known !== undefined && known.size === info.size && known.mtimeMs === mtimeMs;
        after.set(path, same ? known : await this.#open(path, { file, size: info.size, mtimeMs }));
      }
    }
    this.#files = after;
    for (const [path, looked] of before) if (after.get(path) !== looked) await looked.source?.[Symbol.asyncDispose]();
  }

  async #filesIn(directory: string): Promise<string[]> {
    try {
      const names = (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name);
      return names.filter((name) => /\.zim$/i.test(name)).sort();
    } catch (error) {
      this.#logger?.warn("Cannot read a folder of content packs", { path: directory, reason: reasonOf(error) });
      return [];
    }
  }

  async #open(path: string, { file, size, mtimeMs }: { file: string; size: number; mtimeMs: number }): Promise<Looked> {
    const name = file.replace(/\.zim$/i, "");
    const looked = { name, size, mtimeMs, source: null, pack: null };
    if (!isPackName(name)) {
      this.#logger?.warn("A content pack has a name that no address can have", { path });
      return looked;
    }
    let source: ZimFileSource | null = null;
    try {
      source = await ZimFileSource.open(path);
      const pack = await Pack.open({ name, source, cache: this.#cache });
      this.#logger?.info("Found a content pack", { path });
      return { ...looked, source, pack };
    } catch (error) {
      await source?.[Symbol.asyncDispose]();
      this.#logger?.warn("A content pack cannot be read", { path, reason: reasonOf(error) });
      return looked;
    }
  }
}
