import type { Bitfield } from "@ark/node/protocol";
import type { FetchProgress, PieceSource } from "./piece_source.ts";
import type { SwarmClock } from "./swarm_clock.ts";

/** Where chunks go: `PartBlob`, or what a test has in its place. */
export interface ChunkSink {
  /** Bytes of the whole file. */
  readonly size: number;
  /** What is here and checked. */
  readonly have: Pick<Bitfield, "get">;
  /** Checks a chunk, and keeps it where it is right; false where it is not. */
  write(index: number, bytes: Uint8Array): Promise<boolean>;
}

/** Options of {@linkcode fetchBlob}. */
export interface FetchBlobOptions {
  /** Who has the file, as far as is known at the beginning. */
  sources: readonly PieceSource[];
  /** Looks for sources that are not known yet; asked every five seconds, with the keys of those that give something. */
  discover?(known: ReadonlySet<string>, signal: AbortSignal): Promise<readonly PieceSource[]>;
  /** Ends it; what came stays. */
  signal: AbortSignal;
  /** Told how far it is, some times a second. */
  tell?(progress: FetchProgress): void;
  /** Told of a chunk that was not what it should be, and whether its source is barred now. */
  wrong?(source: PieceSource, barred: boolean): void;
  /** Chunks at the beginning that come first. @default {1} */
  first?: number;
  /** Bytes a second that the link was seen to carry. @default {0} */
  link?: number;
  /** How long nothing may come, while sources may come back, in milliseconds. @default {60000} */
  idleMs?: number;
  /** Where time comes from. */
  clock?: SwarmClock;
  /** 0 to 1. @default {Math.random} */
  random?: () => number;
}
