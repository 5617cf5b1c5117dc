/**
 * The node's database: one SQLite file, opened, lifted to the present schema and typed.
 *
 * Promises:
 * - {@linkcode Database} is every table on one page; the steps of `migrations/` add up to it.
 * - What is committed survives a loss of power (WAL, `synchronous = FULL`). The file is for its owner only (mode 0600).
 * - A file that is damaged, foreign or newer than the program is refused with one sentence, a
 *   {@linkcode StoreError}, and is never written to.
 * - One connection writes at a time. Kysely's transactions and {@linkcode Statements | batches} take turns, and so does a
 *   thread that writes ({@linkcode RowWriter}, {@linkcode Store.alone}): nobody waits for a lock of SQLite, which would
 *   hold up the event loop. Threads read by connections of their own ({@linkcode RowReader}).
 *
 * Not promised: a check of every page of a file above 64 MiB at start; use by two processes at once.
 *
 * @example
 * ```ts
 * import { openStore } from "@ark/node/store";
 *
 * await using store = await openStore(":memory:");
 * await store.insertInto("model_digests")
 *   .values({ path: "/models/a.gguf", size: 1, mtime_ms: 0, digest: "00".repeat(32) })
 *   .execute();
 * const known = await store.selectFrom("model_digests").select("digest").where("path", "=", "/models/a.gguf")
 *   .executeTakeFirst();
 * console.log(known?.digest.length); // 64
 * ```
 *
 * @module
 */
export { openStore, StoreError } from "./open_store.ts";
export {
  openRegistryStore,
  type RegistryEntry,
  type RegistryQuery,
  type RegistryRows,
  type RegistryStore,
} from "./registry_store.ts";
export * from "./row_reader.ts";
export * from "./row_writer.ts";
export * from "./schema.ts";
export type { SqlValue } from "./sqlite_connection.ts";
export type { BatchOptions, Statements, Store } from "./store.ts";
