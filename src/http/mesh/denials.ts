import { setTimeout as pause } from "node:timers/promises";
import { reasonOf } from "@ark/node/protocol";
import type { AuditLog, AuditRecord } from "@ark/node/audit";
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

/** One source and reason in this minute. */
interface Noted {
  record: AuditRecord;
  /** How many came after the first, which was recorded at once. */
  more: number;
}

/**
 * Records who was turned away: all in the metrics, and in the audit log the first of each source and reason a minute, 60
 * a minute in all, so that a stranger can fill neither the log nor the disk. How many more there were is recorded when
 * the minute is over, with their `count`; those of sources beyond the 60 are counted together for each reason.
 */
export class Denials {
  readonly #options: DenialsOptions;
  readonly #now: () => number;
  readonly #noted = new Map<string, Noted>();
  readonly #others = new Map<ErrorCode, Noted>();
  #since = -Infinity;

  /** Makes a recorder that has seen nothing yet. */
  constructor(options: DenialsOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Notes one that was turned away; never fails. */
  note({ code, remote, nodeId, model }: Denial): void {
    const { counter, logger } = this.#options;
    counter.add(1, { code });
    // To be asked for a nonce is part of asking a node that has just started.
    if (code === "clock") return;
    const now = this.#now();
    if (now - this.#since >= WINDOW_MS) {
      this.#close();
      this.#since = now;
    }
    const source = `${nodeId ?? remote} ${code}`;
    const known = this.#noted.get(source);
    if (known !== undefined) {
      known.more++;
      return;
    }
    if (this.#noted.size >= MOST_PER_WINDOW) return this.#noteOther(code);
    logger.info("Turned a caller away", { code, address: remote, ...(nodeId === null ? {} : { peer: nodeId }) });
    const record: AuditRecord = { kind: "deny", direction: "in", peer: nodeId, outcome: code, model };
    this.#noted.set(source, { record, more: 0 });
    this.#append(record);
  }

  /** Records how many more there were at the end of each minute, until the signal fires, and then once more. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(WINDOW_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted || this.#now() - this.#since >= WINDOW_MS) this.#close();
    }
  }

  /** Ends the minute. */
  #close(): void {
    for (const { record, more } of [...this.#noted.values(), ...this.#others.values()]) {
      if (more > 0) this.#append({ ...record, count: more });
    }
    this.#noted.clear();
    this.#others.clear();
  }

  #noteOther(code: ErrorCode): void {
    const record: AuditRecord = { kind: "deny", direction: "in", peer: null, outcome: code };
    const noted = this.#others.get(code) ?? { record, more: 0 };
    noted.more++;
    this.#others.set(code, noted);
  }

  #append(record: AuditRecord): void {
    const { audit, logger } = this.#options;
    audit.append(record).catch((error) => {
      logger.debug("A denial could not be recorded", { reason: reasonOf(error) });
    });
  }
}
