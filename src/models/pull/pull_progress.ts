/** How far a model has come here. */
export interface PullProgress {
  /** What happens now: `pulling manifest`, `pulling …`, `verifying sha256 digest`, `writing manifest`, `success`. */
  readonly status: string;
  /** Which file, as `sha256:…`; absent while its digest is not known. */
  readonly digest?: string;
  /** Size of that file in bytes. */
  readonly total?: number;
  /** Bytes that are here. */
  readonly completed?: number;
  /** Bytes a second, where it comes from peers. */
  readonly speed?: number;
  /** Seconds until that file is here, at this speed. */
  readonly seconds_left?: number;
  /** Who gives it now, the fastest first. */
  readonly sources?: readonly PullSource[];
  /** Id of a peer that was dropped because of what it sent. */
  readonly wrong?: string;
  /** Bytes that are free on the disk, where it was looked at before anything came. */
  readonly free?: number;
  /** Bytes that are to come altogether, told with `free`. */
  readonly needed?: number;
}

/** Who gives how much of a file now. */
export interface PullSource {
  /** A peer as the owner calls it, or the host of a server. */
  readonly name: string;
  /** Bytes a second. */
  readonly speed: number;
  /** Of all that comes, 0 to 1. */
  readonly share: number;
}
