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
 * **Upgrades and the way back.** Before {@linkcode openStore} changes a database that an older program made, it copies it
 * as it is into `backups/` beside it; where that fails nothing is changed. {@linkcode makeBackup} is the same for the
 * owner, {@linkcode restoreDatabase} puts one back. A backup is one SQLite file with the small files whose form may change
 * (`approved_peers.json`, `copies.json`) and, where the owner made it, the key and the settings, under a SHA-256. It is
 * whole, or not there, whatever ends the process; so is the database while it is restored.
 *
 * | in the data directory | goes back | why |
 * |---|---|---|
 * | `node.db`: caches, addresses, reputations, demand | yes | what they were is good enough |
 * | `node.db`: revocations, API keys taken back, used invitations, rotations, usage, witnessed logs | no, it only goes on | a restore is no way around any of them |
 * | `node.db`: the audit log's tables | no, they are those of now | they are a copy of `audit.log`, and witnesses have cosigned it |
 * | `audit.log` and what lies beside it | no | to witnesses an older one is a log whose end was cut |
 * | `approved_peers.json` | no; loses what the older version cannot read | an older one would bring revoked peers back |
 * | `node.key`, `node.rotation.json`, `admin.token`, settings | no | their form never changed, and a key that was replaced may be known to others |
 * | `copies.json`, `models/` with `.ark-models.json` and cut pulls | no | older versions read them, or do not look |
 * | `registry.db` | never backed up | what is in it ends within a day, and nodes send it again |
 *
 * In a directory without a key all of it comes back out of a backup that has the key, but for models; the audit log then
 * ends where the backup was made, and witnesses that saw more say so.
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
export * from "./backup_shelf.ts";
export { keepOwner, syncFolder, writeDurably } from "./durable_files.ts";
export { type BackupOptions, FILES_IN_BACKUPS, type MadeBackup, makeBackup } from "./make_backup.ts";
export { openStore, type OpenStoreOptions } from "./open_store.ts";
export type { BackupContents } from "./read_backup.ts";
export { clearStaged, restoreDatabase, type RestoredDatabase, type RestoreOptions } from "./restore_database.ts";
export { StoreError } from "./store_error.ts";
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
