/** What models are made of: files by their digests, in chunks of which each can be checked by itself. */
export type { BlobHere } from "./blob_here.ts";
export { BlobShelf, type BlobShelfOptions } from "./blob_shelf.ts";
export { type ChunkLists, MemoryChunkLists, storedChunkLists } from "./chunk_lists.ts";
export { PartBlob, type PartBlobOptions, partFiles } from "./part_blob.ts";
export type { BringOptions, FileOrigin, WholeFile } from "./obtain_files.ts";
export type { DiskUse, PurgedParts } from "./stale_parts.ts";
