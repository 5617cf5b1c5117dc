import type { OwnRecord } from "../own_records.ts";
import type { PieceSource } from "../swarm/piece_source.ts";

/** A file of a model that is to be fetched. */
export interface PlannedFile {
  /** Where it is, or null where only peers have it. */
  readonly url: URL | null;
  /** Where it goes in the store, with `/` between its parts; each of them is a safe name. */
  readonly name: string;
  /** Bytes, or null where nobody says before it comes. */
  readonly size: number | null;
  /** SHA-256 in hex, or null where nobody says. */
  readonly sha256: string | null;
  /** The owner's token, or null where he has none; for the origin of `url` alone. Absent where none belongs there. */
  readonly token?: string | null;
  /** Root over the hashes of its chunks, as the manifest of peers says, hex. */
  readonly root?: string;
  /** A source that is no peer, where `url` is null, for a file of so many bytes. */
  origin?(size: number): PieceSource | null;
}

/** Everything that makes a model. */
export interface PullPlan {
  /** Its files in order. */
  readonly files: readonly PlannedFile[];
  /** What is remembered of it beside them. */
  readonly record: Omit<OwnRecord, "files">;
}
