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
  /** Bytes that are free on the disk, where it was looked at before anything came. */
  readonly free?: number;
  /** Bytes that are to come altogether, told with `free`. */
  readonly needed?: number;
}
