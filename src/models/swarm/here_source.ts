import { type Bitfield, CHUNK_BYTES } from "@ark/node/protocol";
import type { BlobHere } from "../blobs/mod.ts";
import type { PieceRequest, PieceSource } from "./piece_source.ts";

/** What lies on this machine already under another name, as a source: nothing of it is fetched twice. */
export class HereSource implements PieceSource {
  readonly key = "here";
  readonly name = "this node";
  readonly kind = "peer";
  readonly #blob: BlobHere;

  /** Reads from a file that is here. */
  constructor(blob: BlobHere) {
    this.#blob = blob;
  }

  have(): Promise<Bitfield> {
    return Promise.resolve(this.#blob.have);
  }

  async fetch(index: number, { into, arrived }: PieceRequest): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.#blob.read(index, into);
    arrived?.(Math.min(CHUNK_BYTES, bytes.length));
    return bytes as Uint8Array<ArrayBuffer>;
  }
}
