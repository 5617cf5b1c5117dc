/**
 * What the node did, for whom, and how it ended: an append-only chain that shows every later change.
 *
 * **Chain.** Each entry names the hash of the one before, and `hash = SHA-256("ark-audit/1\n" || body)` in hex, where
 * `body` is the entry's JSON with its fields in the order of {@linkcode AuditEntry}, without spaces, null fields left
 * out and without `hash`. A line of `audit.log` is that very body with `,"hash":"…"` put in before its last brace, so
 * anyone can check a line by cutting that off again.
 *
 * **Two copies.** The file `audit.log` comes first: `append()` resolves when the entry's line is durable there (one
 * write and one `fdatasync` for all entries of a turn of the event loop). The table `audit_entries` follows within a
 * fraction of a second. So:
 *
 * | when | authoritative | the other |
 * |---|---|---|
 * | running, newest entries | the file | the table catches up; `tail()`, `export()` and `verify()` wait for it |
 * | start after a crash | the file, as far as its lines are whole and continue the chain | the table gets what it lacks |
 * | the file was lost or cut | the table | the file gets back what it lacks |
 * | they continue in different ways | neither | nothing is changed or appended until the owner has decided |
 *
 * The file is not to be moved, rotated or edited while the node runs.
 *
 * **Promises**
 * - What was acknowledged survives `kill -9` and a loss of power; an entry that was not is there whole or not at all.
 * - Where an entry cannot be made durable, `append()` rejects with `audit_unavailable`, and nothing is left of it. It
 *   recovers by itself when the disk does.
 * - No text of a prompt or an answer: {@linkcode AuditRecord} has no field for it.
 * - {@linkcode AuditLog.verify} finds a changed, removed, moved or inserted entry in either copy.
 *
 * **Not promised.** Who can write both copies can cut their end off, or compute the whole chain anew, and no look at the
 * log alone will tell. That takes witnesses who keep signed checkpoints (a later issue). There is no rotation yet.
 *
 * **Why the file first.** Medians of one durable write of an entry's size on a 4-core virtual machine with ext4
 * (`test/bench/audit_bench.ts`), one after the other, and every 3 ms, when disk and processor have dozed off:
 *
 * | | one after the other | every 3 ms | at worst |
 * |---|--:|--:|---|
 * | SQLite, WAL, `synchronous = FULL` | 0.08 to 0.13 ms | 0.32 ms | a checkpoint of the log: some ms |
 * | file, `fdatasync` | 0.08 to 0.10 ms | 0.27 ms | |
 * | the same in a thread | 0.12 to 0.13 ms | 0.34 ms | holds up no other stream |
 * | preallocated file, `fdatasync` | 0.06 to 0.09 ms | 0.28 ms | no longer a file for `tail` |
 *
 * Where an `fdatasync` is dearer, SQLite falls further behind (0.3 to 0.4 ms against 0.12 ms, measured elsewhere). So
 * the file is written and synced at once as long as that is fast; a commit that took more than 1 ms sends the next one to
 * a thread, and a slow disk holds up no stream.
 *
 * @example
 * ```ts
 * import { AuditLog } from "@ark/node/audit";
 * import { openStore } from "@ark/node/store";
 *
 * const directory = await Deno.makeTempDir();
 * {
 *   await using store = await openStore(`${directory}/ark.db`);
 *   await using audit = await AuditLog.open({ store, mirror: `${directory}/audit.log` });
 *   const entry = await audit.append({ kind: "start", direction: null, peer: null, model: "llama3.1:8b" });
 *   const verdict = await audit.verify();
 *   console.log(entry.seq, verdict.ok); // 1 true
 * }
 * await Deno.remove(directory, { recursive: true });
 * ```
 *
 * @module
 */
export { AuditLog } from "./audit_log.ts";
export type { AuditExportOptions, AuditLogOptions, AuditProof } from "./audit_log.ts";
export { AUDIT_KINDS } from "./audit_record.ts";
export type { AuditDirection, AuditEntry, AuditKind, AuditRecord } from "./audit_record.ts";
export { AUDIT_DOMAIN } from "./chain.ts";
export type { Checkpoint, Cosignature, NoteSignature, SignedCheckpoint } from "./checkpoint.ts";
export { cosignaturesOf, isSignedByLog, noteName, parseCheckpoint, parseSignatures } from "./checkpoint.ts";
export type { Checkpoints, KeptCheckpoint } from "./checkpoints.ts";
export { leafHash, verifyConsistency, verifyInclusion } from "./merkle_tree.ts";
export type { PruneRange } from "./prune.ts";
export type { AuditVerdict, FaultyAudit, SoundAudit } from "./verify.ts";
export { WitnessBook } from "./witness_book.ts";
export type { WitnessAnswer, WitnessBookOptions } from "./witness_book.ts";
export { parseWitnessRequest, WITNESS_REQUEST_LIMIT } from "./witness_request.ts";
export type { WitnessRequest } from "./witness_request.ts";
export { witnessedVerdict, Witnesses } from "./witnesses.ts";
export type { WitnessesOptions, WitnessFinding, WitnessPeer } from "./witnesses.ts";
