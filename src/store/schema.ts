/**
 * Every table as it is now. How it came to be is told by the migrations; a test holds the two together.
 */
export interface Database {
  /** Keys of the owner's own programs. Only the http module writes here. */
  api_keys: ApiKeysTable;
  /** The audit log's chain, in the order of `seq`. Only the audit module writes here, and only appends. */
  audit_entries: AuditEntriesTable;
  /** Full tiles of the audit log's tree. */
  audit_tiles: AuditTilesTable;
  /** What this node signed about its own audit log, with the cosignatures of witnesses. */
  audit_checkpoints: AuditCheckpointsTable;
  /** How far the entries of the audit log were pruned. */
  audit_prunes: AuditPrunesTable;
  /** The newest that this node, as a witness, saw of other nodes' audit logs. */
  witnessed_logs: WitnessedLogsTable;
  /** SHA-256 of model files that did not change since. */
  model_digests: ModelDigestsTable;
  /** Hashes of the pieces of model files. */
  chunk_lists: ChunkListsTable;
  /** Peers that were approved once and are no more. */
  revoked_peers: RevokedPeersTable;
  /** Keys that followed others. */
  rotations: RotationsTable;
  /** What peers used up in the last 24 hours. */
  peer_usage: PeerUsageTable;
  /** Nodes that the owner wants to hear nothing of. */
  ignored_nodes: IgnoredNodesTable;
  /** Invitations, each for one node. */
  invitations: InvitationsTable;
  /** Where approved peers answered. */
  last_addresses: LastAddressesTable;
  /** How far approved peers can be relied on. */
  reputations: ReputationsTable;
  /** When which model is asked for. */
  demand: DemandTable;
}

/** One act of the node; what the fields mean is told by the audit module. */
export interface AuditEntriesTable {
  /** 1, 2, 3, … without gaps. */
  seq: number;
  /** Wall time, RFC 3339 in UTC. */
  at: string;
  /** Monotonic time since the process began, in milliseconds. */
  monotonic_ms: number;
  /** What was done. */
  kind: string;
  /** `in`, `out`, or null for the owner's own act. */
  direction: string | null;
  /** Node id of the peer. */
  peer: string | null;
  /** Model as the request names it. */
  model: string | null;
  /** SHA-256 of the model's file, hex. */
  digest: string | null;
  /** Tokens of the prompt. */
  prompt_tokens: number | null;
  /** Tokens of the answer. */
  completion_tokens: number | null;
  /** Duration in milliseconds. */
  ms: number | null;
  /** `ok` or an error code. */
  outcome: string | null;
  /** SHA-256 of the request's signature, hex. */
  request: string | null;
  /** SHA-256 of the receipt, hex. */
  receipt: string | null;
  /** `hash` of the entry before. */
  prev: string;
  /** SHA-256 over this entry, hex. */
  hash: string;
  /** How many acts of the same kind it stands for. */
  count: number | null;
}

/** 256 neighbouring hashes of one level of the tree. */
export interface AuditTilesTable {
  /** 0 for hashes of entries, 1 for roots of 256 entries, and so on. */
  level: number;
  /** 0 for the first tile of its level. */
  number: number;
  /** 256 hashes of 32 bytes. */
  hashes: Uint8Array;
  /** Root of them: the hash in the level above. */
  root: Uint8Array;
}

/** A signed checkpoint. */
export interface AuditCheckpointsTable {
  /** Number of entries. */
  size: number;
  /** Signed note, without cosignatures. */
  note: string;
  /** Cosignature lines, each with its line feed. */
  cosignatures: string;
}

/** The entries up to `seq` were pruned. */
export interface AuditPrunesTable {
  /** Number of the last pruned entry. */
  seq: number;
  /** Its hash, which the next entry names. */
  hash: string;
  /** RFC 3339 in UTC. */
  pruned_at: string;
}

/** What a witness remembers of a log. */
export interface WitnessedLogsTable {
  /** Whose log. */
  node_id: string;
  /** Entries. */
  size: number;
  /** The note that said so, signed by that node. */
  note: string;
  /** RFC 3339 in UTC. */
  seen_at: string;
  /** A later note that contradicts it, or null. */
  contradiction: string | null;
  /** When that came, RFC 3339 in UTC. */
  contradicted_at: string | null;
}

/** A file, what it looked like when it was hashed, and its hash. */
export interface ModelDigestsTable {
  /** Absolute path. */
  path: string;
  /** Bytes. */
  size: number;
  /** Time of the last change, in milliseconds since 1970. */
  mtime_ms: number;
  /** SHA-256, hex. */
  digest: string;
}

/** What the pieces of a file must be. */
export interface ChunkListsTable {
  /** SHA-256 of the whole file, hex. */
  digest: string;
  /** Its bytes. */
  size: number;
  /** SHA-256 of each of its chunks, 32 bytes each. */
  hashes: Uint8Array;
}

/** A peer that may not come back without a new approval. */
export interface RevokedPeersTable {
  /** Node id. */
  node_id: string;
  /** `ed25519:<base64>`. */
  public_key: string;
  /** Name that the owner gave. */
  name: string;
  /** RFC 3339 in UTC. */
  revoked_at: string;
}

/** A key of the owner's API: what it may do, and what it used of that. The key itself is nowhere. */
export interface ApiKeysTable {
  /** Short name of the key for lists and commands; says nothing about the key. */
  id: string;
  /** Name that the owner gave. */
  name: string;
  /** SHA-256 of the key's text, hex. */
  hash: string;
  /** RFC 3339 in UTC. */
  created_at: string;
  /** RFC 3339 in UTC, or null for never. */
  expires_at: string | null;
  /** RFC 3339 in UTC, or null while it is in force. */
  revoked_at: string | null;
  /** RFC 3339 in UTC, or null before its first use; may lag behind by half a minute. */
  last_used_at: string | null;
  /** JSON list of names and patterns of models. */
  models: string;
  /** Questions a minute, or null. */
  max_requests_per_minute: number | null;
  /** Tokens in 24 hours, or null. */
  max_tokens_per_day: number | null;
  /** Questions at once, or null. */
  max_concurrent_requests: number | null;
  /** 1 where its questions must not leave this machine, else 0. */
  local_only: number;
  /** When the present 24 hours began, RFC 3339 in UTC, or null. */
  day_began_at: string | null;
  /** Tokens of the present 24 hours. */
  day_tokens: number;
}

/** Tokens of one peer in the last 24 hours. */
export interface PeerUsageTable {
  /** Node id. */
  node_id: string;
  /** When it was written, in milliseconds since 1970 by the wall clock. */
  saved_at: number;
  /** JSON: a list of `{age_ms, tokens}`, each ten minutes, with the time since they ended. */
  slots: string;
}

/** A key that says it follows another one. Only the peers module writes here. */
export interface RotationsTable {
  /** Node id of the key that was approved here, or that this node had. */
  old_id: string;
  /** Node id of the key that follows it. */
  new_id: string;
  /** Number of the last rotation on the way. */
  seq: number;
  /** `pending`, `contested`, `accepted`, or `own` for this node's own. */
  state: string;
  /** The signed statements, as JSON: the evidence. */
  chain: string;
  /** When they came, RFC 3339 in UTC. */
  heard_at: string;
  /** When the owner decided, RFC 3339 in UTC. */
  decided_at: string | null;
}

/** A node that makes no card and no line in the log; see the module `peers`. */
export interface IgnoredNodesTable {
  /** Node id. */
  node_id: string;
  /** `ignored`, `dismissed` or `different`. */
  why: string;
  /** RFC 3339 in UTC. */
  since: string;
  /** RFC 3339 in UTC, or null for until the owner takes it back. */
  until: string | null;
}

/** An invitation. What is kept of its secret proves that others know it, and is of no use to accept with. */
export interface InvitationsTable {
  /** Ed25519 key that is made out of the secret, hex. */
  public_key: string;
  /** Milliseconds since 1970. */
  created_ms: number;
  /** Milliseconds since 1970. */
  expires_ms: number;
  /** What whoever accepts may do, as JSON. */
  terms: string;
  /** When it was accepted, in milliseconds since 1970, or null. */
  used_ms: number | null;
  /** Node id of who accepted, or null. */
  used_by: string | null;
}

/** Where a peer answered as itself. */
export interface LastAddressesTable {
  /** Node id. */
  node_id: string;
  /** JSON: up to four pairs of IP address and port, the latest first. */
  addresses: string;
}

/** How far a peer can be relied on, by what this node saw itself; see the module `routing`. */
export interface ReputationsTable {
  /** Node id. */
  node_id: string;
  /** When it was written, in milliseconds since 1970 by the wall clock. */
  saved_at: number;
  /** JSON: the sums of `ReputationRecord`. */
  record: string;
}

/** How often a model was asked for in an hour of the week. Only the inference module writes here. */
export interface DemandTable {
  /** Id of the model. */
  model: string;
  /** Hour of the week, 0 to 167; 0 is midnight of a Sunday. */
  hour: number;
  /** How often, as of `week`: what was asked before counts less. */
  asked: number;
  /** Week in which it was asked for last, counted since 1970. */
  week: number;
}
