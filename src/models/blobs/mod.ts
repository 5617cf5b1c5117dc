/** What models are made of: files by their digests, in chunks of which each can be checked by itself. */
export type { BlobHere } from "./blob_here.ts";
export { PartBlob, type PartBlobOptions, partFiles } from "./part_blob.ts";
