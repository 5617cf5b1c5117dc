import type { Identity } from "@ark/node/identity";
import type { Store } from "@ark/node/store";
import type { Events, Logger } from "@ark/node/telemetry";

/** Options of `AuditLog.open()`. */
export interface AuditLogOptions {
  /** Holds the table of entries. It must stay open longer than the log. */
  store: Store;
  /** Path of `audit.log`; its directory must exist. */
  mirror: string;
  /** Is told what was healed at the start and when the log cannot be written. */
  logger?: Logger;
  /** Gets an `audit` event when the log cannot be written, and when it can again. */
  events?: Events;
  /** Signs checkpoints; without it none are made. */
  identity?: Identity;
  /**
   * Room on the disk, in bytes, that is kept to record the end of what runs when the disk is full.
   *
   * @default {0}
   */
  reserveBytes?: number;
  /**
   * Size in bytes of `audit.log.journal`, in which groups become durable before `audit.log` does; a multiple of 4,096 from
   * 1 MiB to 256 MiB, or 0 for none.
   *
   * @default {0}
   */
  journalBytes?: number;
  /**
   * A commit that took longer, in milliseconds, makes the next one leave the event loop free; 0 makes each so.
   *
   * @default {1}
   */
  slowMs?: number;
}

/** Options of `AuditLog.export()`. */
export interface AuditExportOptions {
  /**
   * Begin behind this entry.
   *
   * @default {0}
   */
  after?: number;
}

/** What `AuditLog.proof()` gives: enough to check it with any tool that knows RFC 6962 and C2SP checkpoints. */
export interface AuditProof {
  /** Number of the entry. It is the leaf `seq - 1` of the tree. */
  seq: number;
  /** Its line as in `audit.log`, or null where it was pruned. */
  entry: string | null;
  /** Hash of the leaf, `SHA-256(0x00 || line)`, base64. */
  leaf: string;
  /** The RFC 6962 inclusion proof, base64. */
  proof: string[];
  /** The signed note whose size and root it is about. */
  checkpoint: string;
}

/** Options of `AuditLog.append()`. */
export interface AuditAppendOptions {
  /** Does not wait for others to join it where nothing was committed for a while. */
  atOnce?: boolean;
  /**
   * Called, at most once, when the system has the record and the disk has not: it will be in the log whatever becomes of
   * this process, and is lost with the power. What begins here must leave nothing outside this machine before the record
   * is durable. It must not throw.
   */
  written?: () => void;
}
