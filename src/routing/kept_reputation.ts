import { setTimeout as pause } from "node:timers/promises";
import { reasonOf } from "@ark/node/protocol";
import type { Store } from "@ark/node/store";
import type { Logger } from "@ark/node/telemetry";
import { recordIn, Reputation, type ReputationOptions } from "./reputation.ts";

/** Options of {@linkcode KeptReputation.open}. */
export interface KeptReputationOptions extends ReputationOptions {
  /** Keeps what is known in its table `reputations`. */
  store: Store;
  /** Ids of the approved peers that may be asked now, and whether each is there: only they are watched. */
  peers(): readonly { readonly id: string; readonly there: boolean }[];
  /** Whether a node is approved: of others nothing is kept. */
  approved(id: string): boolean;
  /** Says when it cannot be kept. */
  logger: Pick<Logger, "warn">;
  /** Time between two looks at who is there, in milliseconds. @default {5000} */
  everyMs?: number;
}

/** So many looks lie between two times at which what is known is written. */
const LOOKS = 12;

/**
 * A {@linkcode Reputation} that outlives a restart: written to the database every minute and at the end. How long a node
 * was off is known from the wall clock only: one that goes backwards counts as no time at all.
 */
export class KeptReputation extends Reputation implements AsyncDisposable {
  readonly #options: Required<Pick<KeptReputationOptions, "store" | "peers" | "approved" | "logger" | "everyMs">>;
  /** Each writes after the one before. */
  #writing: Promise<void> = Promise.resolve();
  #faulty = false;

  private constructor(options: KeptReputationOptions) {
    super(options);
    this.#options = { everyMs: 5_000, ...options };
  }

  /** Takes up what was kept of approved peers, and forgets the others. A row that makes no sense is left out. */
  static async open(options: KeptReputationOptions): Promise<KeptReputation> {
    const reputation = new KeptReputation(options);
    for (const { node_id, saved_at, record } of await options.store.selectFrom("reputations").selectAll().execute()) {
      const known = recordOf(record);
      if (known !== null && options.approved(node_id)) {
        reputation.restore(node_id, known, Math.max(0, Date.now() - saved_at));
      }
    }
    return reputation;
  }

  /** Watches who is there, and writes what is known, until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    const { peers, everyMs } = this.#options;
    for (let look = 1; !signal.aborted; look++) {
      await pause(everyMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      for (const { id, there } of peers()) this.watched(id, { ms: everyMs, there });
      if (look % LOOKS === 0) await this.flush();
    }
  }

  /** Writes what is known; what fails is tried again the next time. Never rejects. */
  flush(): Promise<void> {
    return this.#writing = this.#writing.then(() => this.#write()).then(() => {
      this.#faulty = false;
    }, (error) => {
      if (!this.#faulty) this.#options.logger.warn("Reputations could not be kept", { reason: reasonOf(error) });
      this.#faulty = true;
    });
  }

  /** Writes what is known for the last time. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush();
  }

  async #write(): Promise<void> {
    const { store, approved } = this.#options;
    const saved_at = Date.now();
    const rows = this.list().flatMap(({ key }) => {
      const record = approved(key) ? this.recordOf(key) : null;
      return record === null ? [] : [{ node_id: key, saved_at, record: JSON.stringify(record) }];
    });
    await store.transaction().execute(async (all) => {
      await all.deleteFrom("reputations").execute();
      for (const row of rows) await all.insertInto("reputations").values(row).execute();
    });
  }
}

function recordOf(text: string): ReturnType<typeof recordIn> {
  try {
    return recordIn(JSON.parse(text));
  } catch {
    return null;
  }
}
