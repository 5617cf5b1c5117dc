import type { Bitfield } from "@ark/node/protocol";

/** What a chunk is fetched with. */
export interface PieceRequest {
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Room for a whole chunk, which nobody else uses until the promise has settled. */
  readonly into: Uint8Array;
  /** Told how many bytes of the chunk have come. */
  arrived?(bytes: number): void;
}

/** Somebody who has chunks of a file: an approved peer, a server of the web, or this node itself. */
export interface PieceSource {
  /** Unique among the sources of a file. */
  readonly key: string;
  /** As the owner is told of it. */
  readonly name: string;
  /** Peers and what lies here come first; origins when those are too slow, or have not everything. */
  readonly kind: "peer" | "origin";
  /**
   * Which chunks it has now.
   *
   * @throws {ArkError} `model_not_found` or `forbidden` where it gives none at all (any more).
   */
  have(signal: AbortSignal): Promise<Bitfield>;
  /**
   * Fetches a chunk. What comes has the chunk's length, and is checked by whoever asked; it lies in `into`.
   *
   * @throws {ArkError} `busy` with a time to wait, `model_not_found` where it has not this chunk now, else what went wrong.
   */
  fetch(index: number, request: PieceRequest): Promise<Uint8Array>;
}

/** What a source did for a file. */
export interface SourceReport {
  /** Its key. */
  readonly key: string;
  /** Its name. */
  readonly name: string;
  /** What it is. */
  readonly kind: PieceSource["kind"];
  /** Bytes of its chunks that are in the file now. */
  readonly bytes: number;
  /** Chunks that were not what they should be. */
  readonly bad: number;
  /** Milliseconds in which at least one chunk of it was on its way. */
  readonly ms: number;
  /** Why it gives nothing any more, or null. */
  readonly fault: string | null;
}

/** How a file came. */
export interface FetchReport {
  /** Bytes that were still missing at the beginning and are here now. */
  readonly bytes: number;
  /** Milliseconds. */
  readonly ms: number;
  /** Bytes that came twice, or of which nothing was kept. */
  readonly wasted: number;
  /** Most bytes a second that came together. */
  readonly link: number;
  /** Every source. */
  readonly sources: readonly SourceReport[];
}

/** How far a file is. */
export interface FetchProgress {
  /** Bytes that are here and checked. */
  readonly completed: number;
  /** Bytes of the whole. */
  readonly total: number;
  /** Bytes in a second, lately. */
  readonly speed: number;
  /** Seconds that are left at this speed, or null. */
  readonly secondsLeft: number | null;
  /** Who gives how much now, most first. */
  readonly sources: readonly { readonly name: string; readonly speed: number; readonly share: number }[];
}
