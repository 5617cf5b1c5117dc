import type { ZimEntry } from "./zim_entry.ts";
import { compareBytes, type ZimFile } from "./zim_file.ts";
import type { ZimHeader } from "./zim_header.ts";
import type { ZimSource } from "./zim_source.ts";

/** Numbers of entries, in the order of their titles. */
interface Listing {
  count: number;
  /** Namespace of those that are articles, where the list has others, too. */
  namespace: string | null;
  at(place: number): Promise<number>;
}

const LITTLE_ENDIAN = true;
/** Titles that are looked at for one answer, whatever they are. */
const MOST_LOOKED_AT = 400;

/** The titles of a ZIM file in order. */
export class ZimTitles {
  readonly #file: ZimFile;
  readonly #header: ZimHeader;
  readonly #source: ZimSource;
  #listing: Promise<Listing> | null = null;

  /** Reads the titles of a file. */
  constructor(file: ZimFile, { header, source }: { header: ZimHeader; source: ZimSource }) {
    this.#file = file;
    this.#header = header;
    this.#source = source;
  }

  /** How many titles are listed. */
  async count(): Promise<number> {
    return (await this.#open()).count;
  }

  /** Entries whose title begins so; the first letter may be large or small, as people type it. */
  async begin(prefix: string, most: number): Promise<ZimEntry[]> {
    const found = new Map<number, ZimEntry>();
    for (const form of forms(prefix)) {
      for await (const entry of this.#from(form)) {
        if (found.size >= most) return [...found.values()];
        found.set(entry.index, entry);
      }
    }
    return [...found.values()];
  }

  async *#from(prefix: string): AsyncGenerator<ZimEntry> {
    const { count, namespace, at } = await this.#open();
    const wanted = new TextEncoder().encode(prefix);
    const order = (namespace ?? "").charCodeAt(0);
    let [low, high] = [0, count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = await this.#file.entry(await at(middle));
      const side = namespace === null ? 0 : entry.namespace.charCodeAt(0) - order;
      if ((side || compareBytes(entry.titleBytes, wanted)) < 0) low = middle + 1;
      else high = middle;
    }
    for (let place = low; place < Math.min(count, low + MOST_LOOKED_AT); place++) {
      const entry = await this.#file.entry(await at(place));
      const begins = compareBytes(entry.titleBytes.subarray(0, wanted.length), wanted) === 0;
      if (!begins || (namespace !== null && entry.namespace !== namespace)) return;
      if (this.#isPage(entry)) yield entry;
    }
  }

  /** Old lists have pictures and styles among the pages. */
  #isPage(entry: ZimEntry): boolean {
    return entry.what?.kind === "redirect" || /html/i.test(this.#file.typeOf(entry) ?? "");
  }

  #open(): Promise<Listing> {
    return this.#listing ??= this.#read().catch((error) => {
      this.#listing = null;
      throw error;
    });
  }

  async #read(): Promise<Listing> {
    // The newer list has the articles alone.
    for (const [path, namespace] of [["listing/titleOrdered/v1", null], ["listing/titleOrdered/v0", "C"]] as const) {
      const entry = await this.#file.find("X", path);
      const body = entry === undefined ? null : await this.#file.body(await this.#file.resolve(entry));
      if (body === null) continue;
      const view = new DataView(body.buffer, body.byteOffset, body.length);
      return {
        count: Math.floor(body.length / 4),
        namespace,
        at: (place) => Promise.resolve(view.getUint32(4 * place, LITTLE_ENDIAN)),
      };
    }
    const { titlesAt, entryCount } = this.#header;
    const source = this.#source;
    return {
      count: titlesAt === null ? 0 : entryCount,
      namespace: this.#file.oneNamespace ? "C" : "A",
      async at(place) {
        const bytes = await source.read((titlesAt ?? 0) + 4 * place, 4);
        return new DataView(bytes.buffer).getUint32(0, LITTLE_ENDIAN);
      },
    };
  }
}

/** What was typed, and how titles are written. */
function forms(prefix: string): string[] {
  const [first = "", ...rest] = [...prefix];
  const words = prefix.replaceAll(/(?<=^|\s)\S/gu, (letter) => letter.toUpperCase());
  return [...new Set([prefix, first.toUpperCase() + rest.join(""), first.toLowerCase() + rest.join(""), words])];
}
