import type { OwnRecord } from "../own_records.ts";

/** A file of a model that is to be fetched. */
export interface PlannedFile {
  /** Where it is. */
  readonly url: URL;
  /** Where it goes in the store, with `/` between its parts; each of them is a safe name. */
  readonly name: string;
  /** Bytes, or null where nobody says before it comes. */
  readonly size: number | null;
  /** SHA-256 in hex, or null where nobody says. */
  readonly sha256: string | null;
  /** The owner's token, or null where he has none; for the origin of `url` alone. Absent where none belongs there. */
  readonly token?: string | null;
}

/** Everything that makes a model. */
export interface PullPlan {
  /** Its files in order. */
  readonly files: readonly PlannedFile[];
  /** What is remembered of it beside them. */
  readonly record: Omit<OwnRecord, "files">;
}
