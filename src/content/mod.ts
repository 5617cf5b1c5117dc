/**
 * Content packs: files of offline content (openZIM, as Kiwix has them) of this node and of approved peers.
 *
 * - {@linkcode PackShelf} finds the `*.zim` files of the owner's folders, {@linkcode Pack} reads one: its pages by path, titles
 *   by their beginning, and the facts about it. A damaged file is named in the log, and the others work.
 * - {@linkcode ContentPeers} reads packs of approved peers, each page from the one that has it, and keeps what was read last.
 *   {@linkcode Library} is both.
 *
 * Why the reader is our own: `@openzim/libzim` is a native addon under GPL-3 that is built or fetched at its installation, and no
 * other library for ZIM files is kept. The parts of the format that are read here are small: lists of places, entries,
 * clusters that are packed with Zstandard or not at all.
 *
 * A pack is taken for hostile. Its numbers and places are checked against the file's size, what is read of it is bounded (a body
 * to 32 MiB, a packed cluster to 64 MiB, one unpacked at a time for each pack), and its paths never become paths of this machine.
 * What its pages may do in a browser is up to who serves them (`http`).
 *
 * Not here: packs that are packed as they were until 2020 (xz) or in parts (`.zimaa`), search in the text of pages, bodies
 * larger than 32 MiB.
 *
 * @example
 * ```ts
 * import { isPackName } from "@ark/node/content";
 *
 * console.log(isPackName("wikipedia_en_all_2026-01"), isPackName("../secret")); // true false
 * ```
 *
 * @module
 */
export * from "./byte_cache.ts";
export * from "./content_peers.ts";
export * from "./library.ts";
export * from "./pack.ts";
export * from "./pack_info.ts";
export * from "./pack_shelf.ts";
export { type ClusterCache, clusterCache, MOST_BODY_BYTES, type UnpackedCluster } from "./zim/zim_clusters.ts";
export type { ZimBody, ZimEntry, ZimRedirect } from "./zim/zim_entry.ts";
export * from "./zim/zim_file.ts";
export type { ZimHeader } from "./zim/zim_header.ts";
export * from "./zim/zim_source.ts";
