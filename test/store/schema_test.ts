import assert from "node:assert/strict";
import { MIGRATIONS } from "../../migrations/mod.ts";
import {
  type ApiKeysTable,
  type AuditCheckpointsTable,
  type AuditEntriesTable,
  type AuditPrunesTable,
  type AuditTilesTable,
  type ChunkListsTable,
  type Database,
  type DemandTable,
  type IgnoredNodesTable,
  type InvitationsTable,
  type LastAddressesTable,
  type ModelDigestsTable,
  openStore,
  type PeerUsageTable,
  type ReputationsTable,
  type RevokedPeersTable,
  type RotationsTable,
  type WitnessedLogsTable,
} from "@ark/node/store";

type Column = "text" | "text?" | "integer" | "integer?" | "real" | "real?" | "blob";

/** `schema.ts` at run time. The types make this list complete: a column more or less there does not compile here. */
const SCHEMA = {
  api_keys: {
    id: "text",
    name: "text",
    hash: "text",
    created_at: "text",
    expires_at: "text?",
    revoked_at: "text?",
    last_used_at: "text?",
    models: "text",
    max_requests_per_minute: "integer?",
    max_tokens_per_day: "integer?",
    max_concurrent_requests: "integer?",
    local_only: "integer",
    day_began_at: "text?",
    day_tokens: "integer",
  } satisfies Columns<ApiKeysTable>,
  audit_entries: {
    seq: "integer",
    at: "text",
    monotonic_ms: "real",
    kind: "text",
    direction: "text?",
    peer: "text?",
    model: "text?",
    digest: "text?",
    prompt_tokens: "integer?",
    completion_tokens: "integer?",
    ms: "real?",
    outcome: "text?",
    request: "text?",
    receipt: "text?",
    prev: "text",
    hash: "text",
    count: "integer?",
  } satisfies Columns<AuditEntriesTable>,
  audit_tiles: { level: "integer", number: "integer", hashes: "blob", root: "blob" } satisfies Columns<AuditTilesTable>,
  audit_checkpoints: { size: "integer", note: "text", cosignatures: "text" } satisfies Columns<AuditCheckpointsTable>,
  audit_prunes: { seq: "integer", hash: "text", pruned_at: "text" } satisfies Columns<AuditPrunesTable>,
  witnessed_logs: {
    node_id: "text",
    size: "integer",
    note: "text",
    seen_at: "text",
    contradiction: "text?",
    contradicted_at: "text?",
  } satisfies Columns<WitnessedLogsTable>,
  chunk_lists: { digest: "text", size: "integer", hashes: "blob" } satisfies Columns<ChunkListsTable>,
  model_digests: { path: "text", size: "integer", mtime_ms: "integer", digest: "text" } satisfies Columns<
    ModelDigestsTable
  >,
  revoked_peers: { node_id: "text", public_key: "text", name: "text", revoked_at: "text" } satisfies Columns<
    RevokedPeersTable
  >,
  rotations: {
    old_id: "text",
    new_id: "text",
    seq: "integer",
    state: "text",
    chain: "text",
    heard_at: "text",
    decided_at: "text?",
  } satisfies Columns<RotationsTable>,
  peer_usage: { node_id: "text", saved_at: "integer", slots: "text" } satisfies Columns<PeerUsageTable>,
  ignored_nodes: { node_id: "text", why: "text", since: "text", until: "text?" } satisfies Columns<IgnoredNodesTable>,
  invitations: {
    public_key: "text",
    created_ms: "integer",
    expires_ms: "integer",
    terms: "text",
    used_ms: "integer?",
    used_by: "text?",
  } satisfies Columns<InvitationsTable>,
  last_addresses: { node_id: "text", addresses: "text" } satisfies Columns<LastAddressesTable>,
  reputations: { node_id: "text", saved_at: "integer", record: "text" } satisfies Columns<ReputationsTable>,
  demand: { model: "text", hour: "integer", asked: "real", week: "integer" } satisfies Columns<DemandTable>,
} satisfies Record<keyof Database, Record<string, Column>>;

type Columns<Table> = {
  [Name in keyof Table]: Table[Name] extends string ? "text"
    : Table[Name] extends number ? "integer" | "real"
    : Table[Name] extends Uint8Array ? "blob"
    : Table[Name] extends string | null ? "text?"
    : Table[Name] extends number | null ? "integer?" | "real?"
    : never;
};

/** Fingerprints of released migrations. A line here is added with its migration and never changes again. */
const RELEASED: Record<string, string> = {
  "0001_initial": "154c7c49f6049e7c08a7db44d8700944ad9511bf89dfd18d4478af89c857c23c",
  "0002_api_keys": "715e439a365df92dd14d4ef17bdb5bb89a556a23c8bc8a64b257a9e5c84ffe90",
  "0003_audit_tree": "19b1bd347c87d897b7ad1e2d6404d663d79cbad69ffd162a2d977c8770759dcb",
  "0004_pairing": "64dafd6ec9118994a49fe2a91c51e6eabc38ae1b0a80865878661ef70d6c4cb9",
  "0005_rotations": "f52499a1c031835c07e1d24dc325bb4f3d72cac9a06c84bbc8f8b8d4a4a2e106",
  "0006_usage": "3a471c1a430f446a547be22d1e13818cd4ad45815cdd4d183b3f63fe5528b740",
  "0007_last_addresses": "91e37fb0544fcd06e1546b7dff627d96b22093ab068c0e1c225b3d74705e232c",
  "0008_reputations": "d22b11444603b31c15a6a3a4f3b309d95e4ecddcafb00a30b3081774fdcb3070",
  "0009_demand": "66a56ceb4d41df7269752012f97b016db8d5c4f353e29c39d8e89299a6142c15",
  "0010_chunk_lists": "cae2321918039666abbcd0cedd8abd9f9612569a84acac963c457d45e0dc1ae7",
};

Deno.test("The migrations add up to schema.ts", async () => {
  await using store = await openStore(":memory:");
  const found: Record<string, Record<string, string>> = {};
  for (const { name, columns } of await store.introspection.getTables()) {
    found[name] = Object.fromEntries(
      columns.map((column) => [column.name, column.dataType.toLowerCase() + (column.isNullable ? "?" : "")]),
    );
  }
  assert.deepEqual(found, SCHEMA);
});

Deno.test("A released migration is never edited", async () => {
  assert.deepEqual(Object.keys(MIGRATIONS), Object.keys(RELEASED));
  for (const [name, expected] of Object.entries(RELEASED)) {
    const source = await Deno.readFile(new URL(`../../migrations/${name}.ts`, import.meta.url));
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", source)).toHex();
    assert.equal(digest, expected, `migrations/${name}.ts was edited; write a new migration instead`);
  }
});
