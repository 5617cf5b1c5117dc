import { ArkError } from "@ark/node/protocol";

/** What is told of a content pack. */
export interface PackInfo {
  /** Its name: that of its file, without `.zim`. */
  readonly name: string;
  /** Which file it is, in hex: two nodes with the same have the same pages. */
  readonly uuid: string;
  /** Title, or an empty text. */
  readonly title: string;
  /** What is in it, or an empty text. */
  readonly description: string;
  /** Languages as codes of three letters, separated by commas, or an empty text. */
  readonly language: string;
  /** Day when it was made, `YYYY-MM-DD`, or an empty text. */
  readonly date: string;
  /** Articles. */
  readonly articles: number;
  /** Bytes of the file. */
  readonly size: number;
}

/** Something of a pack. */
export type PackAnswer = PackPage | PackRedirect;

/** A page, a picture, or whatever else is in a pack. */
export interface PackPage {
  /** Which kind. */
  readonly kind: "page";
  /** Its type, such as `text/html; charset=utf-8`. */
  readonly type: string;
  /** Entity tag without quotes: it stays the same for as long as the page does. */
  readonly tag: string;
  /** The bytes. */
  readonly body: Uint8Array<ArrayBuffer>;
}

/** Another path of the same pack where that is. */
export interface PackRedirect {
  /** Which kind. */
  readonly kind: "elsewhere";
  /** That path. */
  readonly path: string;
}

/** A page that was found by its title. */
export interface PackHit {
  /** Path of the page. */
  readonly path: string;
  /** Its title. */
  readonly title: string;
}

/** Most packs that one node is heard to have. */
export const MOST_PACKS = 512;
/** Most pages that are found at a time. */
export const MOST_HITS = 25;
/** Longest path of a page, in characters. */
export const PATH_LENGTH = 4_096;

const NAME_REGEXP = /^[A-Za-z0-9_](?:[A-Za-z0-9._+-]{0,158}[A-Za-z0-9_])?$/;
/** Names that are pages of this node's own. */
const TAKEN = new Set(["search"]);

/** Whether a text can be the name of a pack: letters, digits and `._+-` between them. */
export function isPackName(name: string): boolean {
  return NAME_REGEXP.test(name) && !name.includes("..") && !TAKEN.has(name.toLowerCase());
}

/** A text that others chose, as it may be shown: printable, and no longer than so many characters. */
export function plainText(value: unknown, most: number): string {
  if (typeof value !== "string") return "";
  return [...value.slice(0, most * 4).replaceAll(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ").trim()].slice(0, most).join("");
}

/** A type as it may stand in a header; what is none becomes plain bytes. */
export function contentType(type: string | null): string {
  const [, kind, charset] =
    /^([a-z]+\/[a-z0-9.+-]{1,80})\s*(?:;\s*charset=["']?([a-z0-9-]{1,40})["']?)?\s*$/i.exec(type ?? "") ?? [];
  if (kind === undefined) return "application/octet-stream";
  const coding = charset ?? (/^text\//i.test(kind) ? "utf-8" : undefined);
  return coding === undefined ? kind.toLowerCase() : `${kind.toLowerCase()}; charset=${coding.toLowerCase()}`;
}

/**
 * What a peer said of its packs, rebuilt from known fields; what makes no sense is left out.
 *
 * @throws {ArkError} `unavailable` where it is no list at all.
 */
export function decodePacks(value: unknown): PackInfo[] {
  const { packs } = Object(value) as { packs?: unknown };
  if (!Array.isArray(packs)) {
    throw new ArkError("unavailable", "The peer sent a list of packs that is not part of the protocol");
  }
  return packs.slice(0, MOST_PACKS).flatMap((pack: unknown): PackInfo[] => {
    const { name, uuid, title, description, language, date, articles, size } = Object(pack) as Record<string, unknown>;
    if (typeof name !== "string" || !isPackName(name) || typeof uuid !== "string" || !/^[0-9a-f]{32}$/.test(uuid)) {
      return [];
    }
    return [{
      name,
      uuid,
      title: plainText(title, 120),
      description: plainText(description, 300),
      language: plainText(language, 80),
      date: plainText(date, 10),
      articles: count(articles),
      size: count(size),
    }];
  });
}

/** What a peer found, rebuilt. */
export function decodeHits(value: unknown): PackHit[] {
  const { hits } = Object(value) as { hits?: unknown };
  if (!Array.isArray(hits)) return [];
  return hits.slice(0, MOST_HITS).flatMap((hit: unknown): PackHit[] => {
    const { path, title } = Object(hit) as Record<string, unknown>;
    return typeof path === "string" && path.length <= PATH_LENGTH ? [{ path, title: plainText(title, 200) }] : [];
  });
}

function count(value: unknown): number {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? value as number : 0;
}
