import type { NodeId } from "@ark/node/identity";
import { reasonOf } from "@ark/node/protocol";
import type { Store } from "@ark/node/store";
import { type Logger, nextBeat } from "@ark/node/telemetry";
import { Account } from "./account.ts";
import type { TokenSlot } from "./token_window.ts";

/** Options of {@linkcode Usage.open}. */
export interface UsageOptions {
  /** Keeps the tokens of the last 24 hours over a restart. */
  store: Store;
  /** Says when they cannot be kept. */
  logger: Pick<Logger, "warn">;
  /** Monotonic time in milliseconds. @default {performance.now} */
  now?: () => number;
}

const EVERY_MS = 3_000;
/** Slots of ten minutes in a day, and the one that is on. */
const MOST_SLOTS = 145;

/**
 * What each peer has used up, by its key.
 *
 * Time is monotonic, so a clock that is set changes nothing while the node runs. Tokens of the last 24 hours are written
 * to the database every three seconds and at the end. How long a node was off is known from the wall clock only: one that
 * goes backwards counts as no time at all.
 */
export class Usage implements AsyncDisposable {
  readonly #now: () => number;
  readonly #store: Store | null;
  readonly #logger: Pick<Logger, "warn"> | null;
  readonly #accounts = new Map<NodeId, Account>();
  /** What the database has of each, as it was written. */
  readonly #written = new Map<NodeId, string>();
  #fault: string | null = null;

  /** Counts in memory only; {@linkcode Usage.open} also keeps what it counted. */
  constructor({ now = () => performance.now(), store, logger }: Partial<UsageOptions> = {}) {
    this.#now = now;
    this.#store = store ?? null;
    this.#logger = logger ?? null;
  }

  /** Takes up what was kept. A row that makes no sense is left out: it is ours, and nobody else's to write. */
  static async open(options: UsageOptions): Promise<Usage> {
    const usage = new Usage(options);
    for (const { node_id, saved_at, slots } of await options.store.selectFrom("peer_usage").selectAll().execute()) {
      const off = Math.max(0, Date.now() - saved_at);
      const kept = slotsOf(slots).map(({ age_ms, tokens }) => ({ age_ms: age_ms + off, tokens }));
      usage.#accounts.set(node_id, new Account({ now: usage.#now, kept }));
      usage.#written.set(node_id, "");
    }
    return usage;
  }

  /** The account of a peer. */
  of(id: NodeId): Account {
    let account = this.#accounts.get(id);
    if (account === undefined) {
      account = new Account({ now: this.#now });
      this.#accounts.set(id, account);
    }
    return account;
  }

  /** Lets a peer's new key go on with the account of its old one: what was used up stays used up. */
  inherit(old: NodeId, next: NodeId): void {
    this.#accounts.set(next, this.of(old));
  }

  /** Writes what has changed, every three seconds until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await nextBeat(EVERY_MS, { signal });
      await this.flush();
    }
  }

  /** Writes what has changed since it was last written; what fails is tried again the next time. Never rejects. */
  flush(): Promise<void> {
    return this.#flush((id, text) => text !== (this.#written.get(id) ?? "[]"));
  }

  async #flush(isDue: (id: NodeId, text: string) => boolean): Promise<void> {
    const store = this.#store;
    if (store === null) return;
    const changed: { id: NodeId; slots: TokenSlot[]; text: string }[] = [];
    for (const [id, account] of this.#accounts) {
      const slots = account.slots();
      // Ages grow by themselves: only other tokens are a change.
      const text = JSON.stringify(slots.map(({ tokens }) => tokens));
      if (isDue(id, text)) changed.push({ id, slots, text });
      if (account.blank) this.#accounts.delete(id);
    }
    if (changed.length === 0) return;
    const saved_at = Date.now();
    try {
      await store.batch((database) => {
        for (const { id, slots } of changed) {
          if (slots.length === 0) database.run("DELETE FROM peer_usage WHERE node_id = ?", id);
          else database.run("INSERT OR REPLACE INTO peer_usage VALUES (?, ?, ?)", id, saved_at, JSON.stringify(slots));
        }
      });
      for (const { id, slots, text } of changed) {
        if (slots.length === 0) this.#written.delete(id);
        else this.#written.set(id, text);
      }
      this.#fault = null;
    } catch (error) {
      const reason = reasonOf(error);
      if (this.#fault !== reason) this.#logger?.warn("What peers have used up could not be written", { reason });
      this.#fault = reason;
    }
  }

  /** Writes all for the last time: ages and wall clock are those of the end, however wrong the clock was before. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#flush(() => true);
  }
}

function slotsOf(text: string): TokenSlot[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [];
  }
  return Array.isArray(value) ? value.slice(0, MOST_SLOTS).filter(isSlot) : [];
}

function isSlot(value: unknown): value is TokenSlot {
  const { age_ms, tokens } = (value ?? {}) as Partial<Record<keyof TokenSlot, unknown>>;
  return Number.isSafeInteger(age_ms) && (age_ms as number) >= 0 && Number.isSafeInteger(tokens) &&
    (tokens as number) > 0;
}
