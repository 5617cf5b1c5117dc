import { setTimeout as pause } from "node:timers/promises";
import { ArkError } from "@ark/node/protocol";
import type { ApiKeysTable, Store } from "@ark/node/store";
import { type ApiKey, apiKeyHash, decodeApiKeyOrder, newApiKeyText } from "./api_key.ts";
import { KeyMeter } from "./key_meter.ts";

/** Options of {@linkcode ApiKeyBook.open}. */
export interface ApiKeyBookOptions {
  /** Keeps the keys' hashes. */
  store: Store;
  /** Wall time in milliseconds, for expiry and display. */
  wall?: () => number;
  /** Monotonic time in milliseconds, for limits. */
  now?: () => number;
}

/** A key in force and what it uses. */
export interface HeldKey {
  /** The key. */
  readonly key: ApiKey;
  /** Counts what it uses. */
  readonly meter: KeyMeter;
}

/** Keys in force at once, and revoked ones that are remembered so that the owner sees them. */
const MOST_KEYS = 1_000;
const MOST_REVOKED = 200;
/** How long the last use of a key may be known to this process alone, in milliseconds. */
const FLUSH_MS = 30_000;

interface Held extends HeldKey {
  key: ApiKey;
  hash: string;
  dirty: boolean;
}

/**
 * The keys of the owner's API. A key's text is shown once and kept nowhere: the database has its SHA-256, and a key is
 * found by that, so the time of a look-up tells nothing about the text.
 */
export class ApiKeyBook implements AsyncDisposable {
  readonly #store: Store;
  readonly #wall: () => number;
  readonly #now: () => number;
  readonly #byHash = new Map<string, Held>();
  #writing: Promise<unknown> = Promise.resolve();

  private constructor({ store, wall = Date.now, now = () => performance.now() }: ApiKeyBookOptions) {
    this.#store = store;
    this.#wall = wall;
    this.#now = now;
  }

  /** Reads the keys from the database. */
  static async open(options: ApiKeyBookOptions): Promise<ApiKeyBook> {
    const book = new ApiKeyBook(options);
    for (const row of await options.store.selectFrom("api_keys").selectAll().execute()) {
      const key = keyOf(row);
      const sinceMs = row.day_began_at === null ? 0 : Math.max(0, book.#wall() - Date.parse(row.day_began_at));
      const used = row.day_began_at === null ? null : { tokens: row.day_tokens, sinceMs };
      book.#byHash.set(row.hash, { key, hash: row.hash, meter: new KeyMeter(key, book.#now, used), dirty: false });
    }
    return book;
  }

  /** All keys, those in force first, then by name. */
  list(): ApiKey[] {
    const keys = [...this.#byHash.values()].map(({ key }) => key);
    return keys.sort((a, b) =>
      Number(a.revoked_at !== null) - Number(b.revoked_at !== null) || a.name.localeCompare(b.name) ||
      a.created_at.localeCompare(b.created_at)
    );
  }

  /** How many keys are in force. */
  get inForce(): number {
    return this.list().filter((key) => this.#fault(key) === null).length;
  }

  /**
   * Makes a key, and returns it with its text, which is never to be had again.
   *
   * @throws {ArkError} `bad_request` for an order that cannot be read, or a name that is taken.
   */
  create(order: unknown): Promise<{ key: ApiKey; text: string }> {
    return this.#inTurn(async () => {
      const terms = decodeApiKeyOrder(order);
      const live = this.list().filter(({ revoked_at }) => revoked_at === null);
      if (live.some(({ name }) => name === terms.name)) {
        throw new ArkError(
          "bad_request",
          `There is a key named ${terms.name} already: revoke it, or choose another name`,
        );
      }
      if (live.length >= MOST_KEYS) {
        throw new ArkError("bad_request", `There are ${MOST_KEYS} keys already: revoke those that nobody uses`);
      }
      const text = newApiKeyText();
      const hash = apiKeyHash(text);
      const created_at = new Date(this.#wall()).toISOString();
      const key: ApiKey = { id: newId(), ...terms, created_at, revoked_at: null, last_used_at: null };
      await this.#store.insertInto("api_keys").values(rowOf(key, hash)).execute();
      this.#byHash.set(hash, { key, hash, meter: new KeyMeter(key, this.#now), dirty: false });
      return { key, text };
    });
  }

  /**
   * Takes a key back, by its id or its name: what runs with it ends, and nothing more begins. Undefined where no key in
   * force has this name. It counts from the moment of the call, also where the database cannot be written.
   */
  async revoke(which: string): Promise<ApiKey | undefined> {
    const held = [...this.#byHash.values()].find(({ key }) =>
      key.revoked_at === null && (key.id === which || key.name === which)
    );
    if (held === undefined) return undefined;
    held.key = { ...held.key, revoked_at: new Date(this.#wall()).toISOString() };
    held.meter.end();
    const { id, revoked_at } = held.key;
    await this.#inTurn(async () => {
      await this.#store.updateTable("api_keys").set({ revoked_at }).where("id", "=", id).execute();
      await this.#forget();
    });
    return held.key;
  }

  /**
   * The key that a text is, in force now.
   *
   * @throws {ArkError} `unauthenticated`, with a sentence that says whether it is unknown, revoked or expired.
   */
  find(text: string): HeldKey {
    const held = this.#byHash.get(apiKeyHash(text));
    const fault = held === undefined ? "is not known here" : this.#fault(held.key);
    if (held === undefined || fault !== null) {
      throw new ArkError("unauthenticated", `This API key ${fault}: make one with 'ark-node keys create NAME'`);
    }
    held.key.last_used_at = new Date(this.#wall()).toISOString();
    held.dirty = true;
    return held;
  }

  /** Writes down now and then when keys were used last and what they used, until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(FLUSH_MS, undefined, { signal }).catch(() => {});
      await this.flush();
    }
  }

  /** Writes down when keys were used last and what they used. */
  flush(): Promise<void> {
    return this.#inTurn(async () => {
      for (const held of this.#byHash.values()) {
        if (!held.dirty) continue;
        held.dirty = false;
        const { tokens, sinceMs } = held.meter.day;
        const day_began_at = new Date(this.#wall() - sinceMs).toISOString();
        const { id, last_used_at } = held.key;
        await this.#store.updateTable("api_keys")
          .set({ last_used_at, day_began_at, day_tokens: tokens }).where("id", "=", id).execute();
      }
    });
  }

  /** Writes down what is not yet written. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { meter } of this.#byHash.values()) meter.end();
    // A disk that is full must not keep a node from stopping.
    await this.flush().catch(() => {});
  }

  #fault({ revoked_at, expires_at }: ApiKey): string | null {
    if (revoked_at !== null) return "was revoked";
    return expires_at !== null && Date.parse(expires_at) <= this.#wall() ? "has expired" : null;
  }

  /** Forgets the oldest of many revoked keys. */
  async #forget(): Promise<void> {
    const revoked = [...this.#byHash.values()].filter(({ key }) => key.revoked_at !== null);
    revoked.sort((a, b) => (b.key.revoked_at ?? "").localeCompare(a.key.revoked_at ?? ""));
    for (const { hash } of revoked.slice(MOST_REVOKED)) {
      await this.#store.deleteFrom("api_keys").where("hash", "=", hash).execute();
      this.#byHash.delete(hash);
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#writing.then(work);
    this.#writing = done.catch(() => {});
    return done;
  }
}

function newId(): string {
  return crypto.getRandomValues(new Uint8Array(4)).toHex();
}

function keyOf(row: ApiKeysTable): ApiKey {
  const { id, name, created_at, expires_at, revoked_at, last_used_at } = row;
  const { max_requests_per_minute, max_tokens_per_day, max_concurrent_requests } = row;
  return {
    id,
    name,
    created_at,
    expires_at,
    revoked_at,
    last_used_at,
    models: JSON.parse(row.models),
    max_requests_per_minute,
    max_tokens_per_day,
    max_concurrent_requests,
    local_only: row.local_only !== 0,
  };
}

function rowOf(key: ApiKey, hash: string): ApiKeysTable {
  return {
    ...key,
    hash,
    models: JSON.stringify(key.models),
    local_only: Number(key.local_only),
    day_began_at: null,
    day_tokens: 0,
  };
}
