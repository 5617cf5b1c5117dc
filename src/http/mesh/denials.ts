import { reasonOf } from "@ark/node/protocol";
import type { AuditLog } from "@ark/node/audit";
import type { NodeId } from "@ark/node/identity";
import type { ErrorCode } from "@ark/node/protocol";
import type { Counter, Logger } from "@ark/node/telemetry";

/** Somebody who was turned away. */
export interface Denial {
  /** Why. */
  code: ErrorCode;
  /** IP address. */
  remote: string;
  /** Who, where a signature proves it; else null. */
  nodeId: NodeId | null;
  /** What was asked for, where it is known. */
  model?: string;
}

/** Options of {@linkcode Denials}. */
export interface DenialsOptions {
  /** Where they are recorded. */
  audit: Pick<AuditLog, "append">;
  /** Counts all of them. */
  counter: Counter<"code">;
  /** Says that one could not be recorded. */
  logger: Pick<Logger, "debug" | "info">;
  /** Monotonic time in milliseconds. */
  now?: () => number;
}

const WINDOW_MS = 60_000;
const MOST_PER_WINDOW = 60;

/**
 * Records who was turned away: all in the metrics, and in the audit log at most one of each source and reason a minute
 * and 60 a minute in all, so that a stranger can fill neither the log nor the disk.
 */
export class Denials {
  readonly #options: DenialsOptions;
  readonly #now: () => number;
  readonly #noted = new Set<string>();
  #since = -Infinity;

  /** Makes a recorder that has seen nothing yet. */
  constructor(options: DenialsOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Notes one that was turned away; never fails. */
  note({ code, remote, nodeId, model }: Denial): void {
    const { audit, counter, logger } = this.#options;
    counter.add(1, { code });
    // To be asked for a nonce is part of asking a node that has just started.
    if (code === "clock") return;
    const now = this.#now();
    if (now - this.#since >= WINDOW_MS) {
      this.#since = now;
      this.#noted.clear();
    }
    const source = `${nodeId ?? remote} ${code}`;
    if (this.#noted.has(source) || this.#noted.size >= MOST_PER_WINDOW) return;
    this.#noted.add(source);
    logger.info("Turned a caller away", { code, address: remote, ...(nodeId === null ? {} : { peer: nodeId }) });
    const record = { kind: "deny", direction: "in", peer: nodeId, outcome: code, model } as const;
    audit.append(record).catch((error) => {
      logger.debug("A denial could not be recorded", {
        reason: reasonOf(error),
      });
    });
  }
}
