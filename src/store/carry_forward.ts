import type { SqliteConnection } from "./sqlite_connection.ts";

/** Facts of a table that a restored database must not forget. */
interface Carried {
  table: string;
  /** What the owner is told where it cannot be done. */
  what: string;
  /** Statements; `main` is what is restored, `now` what it replaces, `COLUMNS` the columns that both have. */
  statements: readonly string[];
  /** Columns without which the statements mean nothing. */
  needs: readonly string[];
}

/**
 * What only ever goes forward. Whoever was shut out stays out, what was used once stays used, what was counted stays
 * counted, and what this node saw of other nodes' logs it does not forget: else putting a backup back would be a way around
 * each of them. The rest is as it was when the backup was made.
 */
const CARRIED: readonly Carried[] = [
  {
    table: "revoked_peers",
    what: "which peers were revoked since",
    needs: ["node_id", "revoked_at"],
    statements: [
      `INSERT OR REPLACE INTO main.revoked_peers (COLUMNS) SELECT COLUMNS FROM now.revoked_peers AS n
        WHERE NOT EXISTS (SELECT 1 FROM main.revoked_peers AS m
          WHERE m.node_id = n.node_id AND m.revoked_at >= n.revoked_at)`,
    ],
  },
  {
    table: "api_keys",
    what: "which API keys were made and taken back since",
    needs: ["id", "hash", "revoked_at"],
    statements: [
      `INSERT OR IGNORE INTO main.api_keys (COLUMNS) SELECT COLUMNS FROM now.api_keys`,
      `UPDATE main.api_keys SET revoked_at = (SELECT n.revoked_at FROM now.api_keys AS n WHERE n.id = api_keys.id)
        WHERE revoked_at IS NULL
          AND EXISTS (SELECT 1 FROM now.api_keys AS n WHERE n.id = api_keys.id AND n.revoked_at IS NOT NULL)`,
    ],
  },
  {
    table: "invitations",
    what: "which invitations were accepted or taken back since",
    needs: ["public_key", "used_ms", "used_by"],
    statements: [
      `DELETE FROM main.invitations WHERE public_key NOT IN (SELECT public_key FROM now.invitations)`,
      `INSERT OR REPLACE INTO main.invitations (COLUMNS) SELECT COLUMNS FROM now.invitations AS n
        WHERE NOT EXISTS (SELECT 1 FROM main.invitations AS m
          WHERE m.public_key = n.public_key AND m.used_ms IS n.used_ms AND m.used_by IS n.used_by)`,
    ],
  },
  {
    table: "rotations",
    what: "which keys of peers changed since",
    needs: ["old_id", "seq", "state"],
    statements: [
      `INSERT OR REPLACE INTO main.rotations (COLUMNS) SELECT COLUMNS FROM now.rotations AS n
        WHERE NOT EXISTS (SELECT 1 FROM main.rotations AS m
          WHERE m.old_id = n.old_id AND m.new_id = n.new_id AND m.seq = n.seq AND m.state = n.state)`,
    ],
  },
  {
    table: "peer_usage",
    what: "what peers used up since",
    needs: ["node_id", "saved_at"],
    statements: [
      `INSERT OR REPLACE INTO main.peer_usage (COLUMNS) SELECT COLUMNS FROM now.peer_usage AS n
        WHERE NOT EXISTS (SELECT 1 FROM main.peer_usage AS m WHERE m.node_id = n.node_id AND m.saved_at >= n.saved_at)`,
    ],
  },
  {
    table: "ignored_nodes",
    what: "which nodes were ignored since",
    needs: ["node_id"],
    statements: [`INSERT OR IGNORE INTO main.ignored_nodes (COLUMNS) SELECT COLUMNS FROM now.ignored_nodes`],
  },
  {
    table: "witnessed_logs",
    what: "what this node saw of its peers' audit logs since",
    needs: ["node_id", "size", "contradicted_at"],
    statements: [
      `INSERT OR REPLACE INTO main.witnessed_logs (COLUMNS) SELECT COLUMNS FROM now.witnessed_logs AS n
        WHERE NOT EXISTS (SELECT 1 FROM main.witnessed_logs AS m WHERE m.node_id = n.node_id
          AND m.note = n.note AND m.contradicted_at IS n.contradicted_at)`,
    ],
  },
];

/** The audit log's tables. The file `audit.log` is never put back, so they are those of now, whatever the backup has. */
const AUDIT_TABLES = ["audit_entries", "audit_tiles", "audit_checkpoints", "audit_prunes"];

/**
 * Takes over into a restored database (`main`) what it must not forget of the one that it replaces (`now`, attached).
 *
 * @returns What could not be taken over, each as the end of a sentence that begins with "It is not known ".
 */
export function carryForward(sqlite: SqliteConnection): string[] {
  const lost: string[] = [];
  // What an older database than the restored one has no table for, it knows nothing of.
  const older = stepsIn(sqlite, "now") < stepsIn(sqlite, "main");
  for (const { table, what, statements, needs } of CARRIED) {
    const columns = common(sqlite, table);
    if (columns === null || (older && columns.names.length === 0)) continue;
    const unknown = !older && columns.lost;
    if (unknown || needs.some((name) => !columns.names.includes(name))) lost.push(what);
    else for (const statement of statements) sqlite.exec(statement.replaceAll("COLUMNS", columns.list));
  }
  carryAudit(sqlite, { lost, older });
  return lost;
}

/** Whether both databases have the same audit log, as far as both have it. */
export function sameHistory(sqlite: SqliteConnection): boolean {
  if (columnsOf(sqlite, "now", "audit_entries").length === 0) return true;
  const [other] = sqlite.arrays(
    "SELECT 1 FROM main.audit_entries AS m JOIN now.audit_entries AS n ON n.seq = m.seq WHERE m.hash <> n.hash LIMIT 1",
  );
  return other === undefined;
}

/** Where there is no database to ask what happened since: what must not be used twice is not used again. */
export function forgetUsable(sqlite: SqliteConnection): void {
  if (columnsOf(sqlite, "main", "invitations").length > 0) {
    sqlite.exec("DELETE FROM main.invitations WHERE used_ms IS NULL");
  }
}

function carryAudit(sqlite: SqliteConnection, { lost, older }: { lost: string[]; older: boolean }): void {
  const entries = common(sqlite, "audit_entries");
  if (entries === null) return;
  const missing = columnsOf(sqlite, "now", "audit_entries").filter((name) => !entries.names.includes(name));
  if (entries.lost && !older) {
    lost.push("what the audit log has since");
    return;
  }
  for (const name of missing) {
    const [found] = sqlite.all(
      `SELECT 1 FROM now.audit_entries WHERE "${name.replaceAll('"', '""')}" IS NOT NULL LIMIT 1`,
    );
    // Their hashes hold with that column only. The program of then reads them from audit.log as far as it can.
    if (found !== undefined) {
      lost.push("how that version reads the newest entries of the audit log, which it has no columns for");
      return;
    }
  }
  for (const table of AUDIT_TABLES) {
    const columns = common(sqlite, table);
    if (
      columns === null || columns.names.length === 0 || (columns.lost && !older) ||
      same(sqlite, { table, list: columns.list })
    ) continue;
    sqlite.exec(`DELETE FROM main.${table};
      INSERT INTO main.${table} (${columns.list}) SELECT ${columns.list} FROM now.${table}`);
  }
}

function same(sqlite: SqliteConnection, { table, list }: { table: string; list: string }): boolean {
  const counts = ["main", "now"].map((schema) => sqlite.arrays(`SELECT count(*) FROM ${schema}.${table}`)[0]?.[0]);
  if (counts[0] !== counts[1]) return false;
  const [other] = sqlite.arrays(
    `SELECT 1 FROM (SELECT ${list} FROM now.${table} EXCEPT SELECT ${list} FROM main.${table}) LIMIT 1`,
  );
  return other === undefined;
}

/** The columns of a table that both databases have; null where the restored one has no such table. */
function common(sqlite: SqliteConnection, table: string): { names: string[]; list: string; lost: boolean } | null {
  const main = columnsOf(sqlite, "main", table);
  if (main.length === 0) return null;
  const now = columnsOf(sqlite, "now", table);
  const names = main.filter((name) => now.includes(name));
  return { names, list: names.map((name) => `"${name}"`).join(", "), lost: names.length < main.length };
}

function stepsIn(sqlite: SqliteConnection, schema: "main" | "now"): number {
  if (columnsOf(sqlite, schema, "kysely_migration").length === 0) return 0;
  return Number(sqlite.arrays(`SELECT count(*) FROM ${schema}.kysely_migration`)[0]?.[0] ?? 0);
}

function columnsOf(sqlite: SqliteConnection, schema: "main" | "now", table: string): string[] {
  return sqlite.all<{ name: string }>("SELECT name FROM pragma_table_xinfo(?, ?)", table, schema).map(({ name }) =>
    name
  );
}
