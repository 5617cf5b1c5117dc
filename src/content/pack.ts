import { ArkError } from "@ark/node/protocol";
import {
  contentType,
  MOST_HITS,
  type PackAnswer,
  type PackHit,
  type PackInfo,
  PATH_LENGTH,
  plainText,
} from "./pack_info.ts";
import type { ClusterCache } from "./zim/zim_clusters.ts";
import type { ZimEntry } from "./zim/zim_entry.ts";
import { ZimFile } from "./zim/zim_file.ts";
import type { ZimSource } from "./zim/zim_source.ts";

/** Options of {@linkcode Pack.open}. */
export interface PackOptions {
  /** Its name. */
  name: string;
  /** Where its bytes are. */
  source: ZimSource;
  /** Keeps what was unpacked. */
  cache?: ClusterCache;
}

/** One content pack of this machine: its pages by path, and what may be told of it. */
export class Pack {
  /** What may be told of it. */
  readonly info: PackInfo;
  readonly #file: ZimFile;

  private constructor(file: ZimFile, info: PackInfo) {
    this.#file = file;
    this.info = info;
  }

  /**
   * Opens a pack.
   *
   * @throws {SyntaxError} with one sentence where the file is none that can be read.
   */
  static async open({ name, source, cache }: PackOptions): Promise<Pack> {
    const file = await ZimFile.open(source, cache === undefined ? {} : { cache });
    const fact = async (key: string, most: number) => plainText(await file.fact(key), most);
    return new Pack(file, {
      name,
      uuid: file.header.uuid,
      title: await fact("Title", 120),
      description: await fact("Description", 300),
      language: await fact("Language", 80),
      date: await fact("Date", 10),
      articles: articlesIn(await file.fact("Counter")) ?? await file.titleCount(),
      size: source.size,
    });
  }

  /**
   * What is at a path; an empty path is the main page.
   *
   * @throws {ArkError} `model_not_found` where there is nothing; `unavailable` where the file is damaged.
   */
  async page(path: string): Promise<PackAnswer> {
    return await readable(async () => {
      if (path === "") {
        const main = await this.#file.main();
        if (main !== undefined) return { kind: "elsewhere", path: this.#pathOf(main) };
        throw new ArkError("model_not_found", "This pack has no main page: look for a title in it");
      }
      const entry = path.length > PATH_LENGTH ? undefined : await this.#find(path);
      if (entry === undefined) throw new ArkError("model_not_found", "There is no such page in this pack");
      const last = await this.#file.resolve(entry);
      // The links of a page count from its own path.
      if (last !== entry) return { kind: "elsewhere", path: this.#pathOf(last) };
      const body = await this.#file.body(entry);
      if (body === null) throw new ArkError("model_not_found", "This page was taken out of its pack");
      const tag = `${this.info.uuid}-${entry.index}`;
      return { kind: "page", type: contentType(this.#file.typeOf(entry)), tag, body };
    });
  }

  /** Pages whose title begins so. @throws {ArkError} `unavailable` where the file is damaged. */
  async search(text: string): Promise<PackHit[]> {
    return await readable(async () => {
      const entries = text === "" ? [] : await this.#file.titled(text.slice(0, 200), MOST_HITS);
      return entries.map((entry) => ({ path: this.#pathOf(entry), title: plainText(entry.title, 200) }));
    });
  }

  async #find(path: string): Promise<ZimEntry | undefined> {
    if (this.#file.oneNamespace) return await this.#file.find("C", path);
    const [, namespace, rest] = /^([-A-Z])\/(.+)$/s.exec(path) ?? [];
    return namespace === undefined || rest === undefined ? undefined : await this.#file.find(namespace, rest);
  }

  #pathOf({ namespace, path }: ZimEntry): string {
    return this.#file.oneNamespace && namespace === "C" ? path : `${namespace}/${path}`;
  }
}

/** Articles by the list of types and their numbers that newer files have. */
function articlesIn(counter: string | null): number | null {
  const [, count] = /(?:^|;)text\/html=(\d{1,12})(?:;|$)/.exec(counter ?? "") ?? [];
  return count === undefined ? null : Number(count);
}

async function readable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ArkError("unavailable", `This page of the pack cannot be read: ${error.message}`, { cause: error });
  }
}
