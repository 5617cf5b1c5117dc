/**
 * What the node did, for whom, and how it ended: an append-only chain that shows every later change.
 *
 * **Chain.** Each entry names the hash of the one before, and `hash = SHA-256("ark-audit/1\n" || body)` in hex, where
 * `body` is the entry's JSON with its fields in the order of {@linkcode AuditEntry}, without spaces, null fields left
 * out and without `hash`. A line of `audit.log` is that very body with `,"hash":"…"` put in before its last brace, so
 * anyone can check a line by cutting that off again.
 *
 * **Two copies.** The file `audit.log` comes first: `append()` resolves when the entry's line is written there and durable
 * (one write and one `fdatasync` for all entries of a turn of the event loop), in the journal or in the file itself. The
 * table `audit_entries` follows within a fraction of a second. So:
 *
 * | when | authoritative | the other |
 * |---|---|---|
 * | running, newest entries | the file | the table catches up; `tail()`, `export()` and `verify()` wait for it |
 * | start after a crash | the file, as far as its lines are whole and continue the chain | the table gets what it lacks, and both what only the journal has |
 * | the file was lost or cut | the table | the file gets back what it lacks |
 * | they continue in different ways | neither | nothing is changed or appended until the owner has decided |
 *
 * What comes in larger numbers than the event loop can take along goes into the database in a thread ({@linkcode
 * AuditLog} starts it when it is needed first), which computes the tree, too. The thread keeps nothing: where it ends,
 * the log looks how far the database came and goes on without it. Where even that is too slow, the next entries wait.
 *
 * The file is not to be moved, rotated or edited while the node runs.
 *
 * **Journal.** Making a file durable that grows waits for the file system's own journal, and so for everybody else who
 * writes: mostly a fraction of a millisecond, in one of a hundred cases many times that. So groups of entries become durable
 * in `audit.log.journal`, a ring of blocks that were written before, each group with its number and a checksum in blocks of
 * its own. The lines are in `audit.log` already then, and become durable there in the background: after a
 * megabyte, after five seconds, and at the end. Where there is no journal, no room in it, or its disk fails, `audit.log` itself
 * is made durable, as without one. Each group says up to which entry `audit.log` was durable, and that decides after a crash:
 *
 * | the journal has | and the copies | so |
 * |---|---|---|
 * | nothing that is needed (a clean end) | are what they are | it is not looked at |
 * | entries behind what was durable in `audit.log` | lack them, and they continue the chain | both get them back; the owner's log says so |
 * | the same | have zeros in their place, as a loss of power leaves them | the same |
 * | the same | have a changed line in their place | nothing is repaired, {@linkcode AuditLog.verify} names it |
 * | the same | end before that, where no crash can have cut them, or have others | nothing is recorded before the owner has decided; `verify()` names the entry |
 * | a torn group | | nobody was told of it: it never was |
 *
 * It is no third truth: what it gives back has to continue the chain that both copies end with, was acknowledged, and is
 * compared with tree, checkpoints and witnesses like all the rest. Whoever can write it can write `audit.log` as well, and
 * can do no more with it. Who removes it after a crash takes with it what a loss of power had not brought into `audit.log`
 * yet, five seconds at most: that is a tail cut like any other, and found by the same checkpoints and witnesses.
 *
 * | file | what it is | size |
 * |---|---|---|
 * | `audit.log` | the entries, for `tail`, `grep` and `jq`; append-only | as they come |
 * | `audit.log.journal` | groups on their way; made some seconds after the first start, where the disk has four times its size free | 32 MiB |
 * | `audit.log.reserve` | room for the ends of what runs when the disk is full | 64 MiB |
 * | `audit.log.damaged` | whole lines that were cut off because they were no part of the chain | rarely there |
 *
 * All of them are for their owner only (0600).
 *
 * **Promises**
 * - What was acknowledged survives `kill -9` and a loss of power; an entry that was not is there whole or not at all.
 * - What was written (`written` of {@linkcode AuditLog.append}) survives `kill -9`. So an engine of this machine may be asked
 *   then, since a loss of power ends it as well; nothing of an answer leaves before the entry is acknowledged.
 * - Where an entry cannot be made durable, `append()` rejects with `audit_unavailable`, and nothing is left of it. It
 *   recovers by itself when the disk does.
 * - No text of a prompt or an answer: {@linkcode AuditRecord} has no field for it.
 * - {@linkcode AuditLog.verify} finds a changed, removed, moved or inserted entry in either copy, and names the first.
 *
 * **Tree.** The lines are also the leaves of an RFC 6962 Merkle tree, leaf `seq - 1` for entry `seq`. Its full tiles of 256
 * hashes are rows of the database, numbered as in C2SP `tlog-tiles`: they change in one transaction with the entries and the
 * checkpoints, and a million entries do not come with four thousand files. After 256 entries or a minute, and at the
 * end, the node signs a checkpoint: a C2SP `tlog-checkpoint` with the origin `ark-node/<node id>` and the node's own key.
 *
 * **Witnesses.** Each checkpoint goes to every approved peer that is online ({@linkcode Witnesses}), as C2SP
 * `tlog-witness` has it; a peer cosigns only what goes on from what it saw before ({@linkcode WitnessBook}). So
 *
 * | what was done | is found by |
 * |---|---|
 * | one copy was changed | the other copy, and the chain |
 * | both were rewritten or cut, chain and all | the stored tiles (which entry) and the signed checkpoints (since when) |
 * | also tiles and checkpoints, signed anew with the node's key | any one witness, when it is asked or shown the next one |
 * | two histories are shown to two peers | the first peer that is shown both, or the owner's `verify`, which asks all |
 *
 * Where a log contradicts its own newest checkpoint, no other is signed: this node never signs two histories.
 *
 * **Pruning.** {@linkcode AuditLog.prune} removes old entries from both copies, database first; their hashes, the tiles,
 * stay, so that every checkpoint still holds and whoever kept an old line can prove that it was there. The journal is made
 * anew then, because it may still have them.
 *
 * **Full disk.** A reserve beside the log is given up first: then what runs can be recorded to its end, while what begins is
 * refused until the reserve could be taken again.
 *
 * **Fields** are only ever added, and left out of a line where they are null, so that lines of older versions keep their
 * hashes.
 *
 * **Not promised.** Without a witness, whoever has the key and the disk can write another history. Witnesses compare what
 * they are shown, not each other.
 *
 * **Why it has a SHA-256 of its own.** The way into the runtime and back costs as much as hashing a whole line, and several
 * times as much as hashing a node of the tree, which is 65 bytes. So a hash is made by WebAssembly, in place.
 *
 * **Very many entries at once.** Those that come while a commit is on its way are hashed and put behind each other
 * meanwhile, and go to the disk together as soon as it is done; where it fails, they get their places anew.
 *
 * **Why the file first.** Medians of one durable write of an entry's size on a 4-core virtual machine with ext4
 * (`test/bench/audit_bench.ts`), one after the other, and every 3 ms, when disk and processor have dozed off:
 *
 * | | one after the other | every 3 ms | at worst |
 * |---|--:|--:|---|
 * | SQLite, WAL, `synchronous = FULL` | 0.08 to 0.13 ms | 0.32 ms | a checkpoint of the log: some ms |
 * | file, `fdatasync` | 0.08 to 0.10 ms | 0.27 ms | |
 * | the same in a thread | 0.12 to 0.13 ms | 0.34 ms | holds up no other stream |
 * | preallocated file, `fdatasync` | 0.06 to 0.09 ms | 0.28 ms | no file for `tail`: hence the journal |
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
export type { AuditAppendOptions, AuditExportOptions, AuditLogOptions, AuditProof } from "./audit_options.ts";
export { AUDIT_KINDS } from "./audit_record.ts";
export type { AuditDirection, AuditEntry, AuditKind, AuditRecord } from "./audit_record.ts";
export { AUDIT_DOMAIN } from "./line_hash.ts";
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
