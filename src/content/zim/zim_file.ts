import { type ClusterCache, clusterCache, ZimClusters } from "./zim_clusters.ts";
import { readZimEntry, type ZimEntry } from "./zim_entry.ts";
import { readZimHeader, u64, type ZimHeader } from "./zim_header.ts";
import type { ZimSource } from "./zim_source.ts";
import { ZimTitles } from "./zim_titles.ts";

const MOST_REDIRECTS = 8;
/** Most bytes of a fact about the file. */
const FACT_BYTES = 64 << 10;

/**
 * A file of offline content in the openZIM format: pages by their path, their titles in order, and facts about it.
 *
 * Everything in it is taken for hostile: each place and number is checked against the file's own size before it is used,
 * reads are of bounded length, and nothing of it is ever a path of this machine.
 */
export class ZimFile {
  /** What stands at its beginning. */
  readonly header: ZimHeader;
  readonly #source: ZimSource;
  readonly #clusters: ZimClusters;
  readonly #titles: ZimTitles;

  private constructor(source: ZimSource, { header, cache }: { header: ZimHeader; cache: ClusterCache }) {
    this.header = header;
    this.#source = source;
    this.#clusters = new ZimClusters(source, { header, cache });
    this.#titles = new ZimTitles(this, { header, source });
  }

  /**
   * Reads the header.
   *
   * @throws {SyntaxError} with one sentence where it is no ZIM file that can be read.
   */
  static async open(source: ZimSource, { cache = clusterCache() }: { cache?: ClusterCache } = {}): Promise<ZimFile> {
    return new ZimFile(source, { header: await readZimHeader(source), cache });
  }

  /** Namespace of what is shown: from version 6.1 on it is one for all. Null where each kind has its own. */
  get oneNamespace(): boolean {
    return this.header.major === 6 && this.header.minor >= 1;
  }

  /** The entry of a number. @throws {SyntaxError} */
  async entry(index: number): Promise<ZimEntry> {
    const { entryCount, pathsAt } = this.header;
    if (!Number.isInteger(index) || index < 0 || index >= entryCount) {
      throw new SyntaxError("It names an entry that is not there");
    }
    const pointer = await this.#source.read(pathsAt + 8 * index, 8);
    return await readZimEntry(this.#source, { at: u64(new DataView(pointer.buffer), 0), index });
  }

  /** The entry of a path, or undefined. @throws {SyntaxError} */
  async find(namespace: string, path: string): Promise<ZimEntry | undefined> {
    const wanted = new TextEncoder().encode(path);
    const order = namespace.charCodeAt(0);
    let [low, high] = [0, this.header.entryCount];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = await this.entry(middle);
      const before = entry.namespace.charCodeAt(0) - order || compareBytes(entry.pathBytes, wanted);
      if (before === 0) return entry;
      if (before < 0) low = middle + 1;
      else high = middle;
    }
    return undefined;
  }

  /** What an entry leads to in the end. @throws {SyntaxError} */
  async resolve(entry: ZimEntry): Promise<ZimEntry> {
    let at = entry;
    for (let hop = 0; at.what?.kind === "redirect"; hop++) {
      if (hop === MOST_REDIRECTS) throw new SyntaxError("An entry of it leads to itself");
      at = await this.entry(at.what.to);
    }
    return at;
  }

  /** The body of an entry, or null where it has none. @throws {SyntaxError} */
  async body({ what }: ZimEntry): Promise<Uint8Array<ArrayBuffer> | null> {
    return what?.kind === "body" ? await this.#clusters.body(what.cluster, what.blob) : null;
  }

  /** The type of an entry as the file states it, or null. */
  typeOf({ what }: ZimEntry): string | null {
    return what?.kind === "body" ? this.header.types[what.type] ?? null : null;
  }

  /** A fact about the file, such as `Title`, or null. */
  async fact(name: string): Promise<string | null> {
    const entry = await this.find("M", name);
    if (entry === undefined) return null;
    const body = await this.body(await this.resolve(entry));
    return body === null || body.length > FACT_BYTES ? null : new TextDecoder().decode(body);
  }

  /** The entry that is shown first, or undefined. */
  async main(): Promise<ZimEntry | undefined> {
    const { mainEntry } = this.header;
    const entry = mainEntry === null ? await this.find("W", "mainPage") : await this.entry(mainEntry);
    return entry === undefined ? undefined : await this.resolve(entry);
  }

  /** Entries whose title begins so, in order, at most so many. @throws {SyntaxError} */
  titled(prefix: string, most: number): Promise<ZimEntry[]> {
    return this.#titles.begin(prefix, most);
  }

  /** How many titles it lists, which are its articles in newer files. */
  titleCount(): Promise<number> {
    return this.#titles.count();
  }
}

/** Order of two byte strings, as C's `memcmp` has it. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
