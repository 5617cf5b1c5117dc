import type { Bitfield, ChunkList } from "@ark/node/protocol";

/** A file of a model that is here, or of which some chunks are. */
export interface BlobHere {
  /** SHA-256 in hex of the whole file. */
  readonly sha256: string;
  /** Bytes of the whole file. */
  readonly size: number;
  /** Whether all chunks are here. */
  readonly complete: boolean;
  /** Which chunks are here and were checked. */
  readonly have: Bitfield;
  /** Grows whenever a chunk is added. */
  readonly version: number;
  /**
   * Hashes of its chunks; where they are not known yet, they are computed first, which takes seconds for each gigabyte.
   *
   * @throws {ArkError} `model_not_found` where the file is not what it was.
   */
  chunks(): Promise<ChunkList>;
  /**
   * Exactly the bytes of a chunk, in a part of `into` where that is given.
   *
   * @throws {ArkError} `model_not_found` where the chunk is not here, or the file is not what it was.
   */
  read(index: number, into?: Uint8Array): Promise<Uint8Array>;
}
