import { writeDurably } from "@ark/node/store";

/** What {@linkcode writeOlderApprovals} has to know of the version that is gone back to. */
export interface OlderVersion {
  /** Number of the last step of the database's history that it has. */
  step: number;
  /** The text of its `approved_peers.json`, or null where it had none. */
  before: string | null;
}

/** Fields of an entry, and of its permissions, that every version reads. */
const ALWAYS = [
  "node_id",
  "public_key",
  "name",
  "approved_at",
  "expires_at",
  "permissions",
  "can_request_inference",
  "can_pull_models",
  "models_shared",
  "max_concurrent_requests",
];

/** From which step of the database's history on every version reads a field: older ones refuse the whole file for it. */
const SINCE: Readonly<Record<string, number>> = {
  paused: 7,
  verified: 7,
  wireguard_key: 7,
  max_requests_per_minute: 7,
  max_tokens_per_day: 7,
  max_tokens_per_request: 7,
  own: 9,
  content_shared: 11,
};

/** Fields that hold nobody back: without them a peer may do less than before, or the same. */
const LEAVES_LESS = ["wireguard_key", "own", "content_shared"];

/**
 * Makes the file of approvals one that an older version reads. Fields that it does not know are left out; a peer that such a
 * field holds back, as a pause or a limit does, is left out as a whole, so that nobody may do more than before. A file that
 * the older version can read as it is, or that nobody can, is not touched.
 *
 * @returns What was left out, as sentences for the owner.
 */
export async function writeOlderApprovals(path: string, version: OlderVersion): Promise<string[]> {
  const text = await Deno.readTextFile(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  });
  const older = text === null ? null : olderApprovals(text, version);
  if (older === null) return [];
  await writeDurably(path, older.text);
  return older.notes;
}

/** The text for an older version, and what it lacks; null where the text can stay as it is. */
export function olderApprovals(
  text: string,
  { step, before }: OlderVersion,
): { text: string; notes: string[] } | null {
  const entries = entriesOf(text);
  if (entries === null) return null;
  // What the older version wrote itself it can read, too.
  const own = new Set((entriesOf(before ?? "") ?? []).flatMap((entry) => fieldsOf(entry)));
  const reads = (field: string) => ALWAYS.includes(field) || own.has(field) || (SINCE[field] ?? Infinity) <= step;
  const dropped = new Set<string>();
  const out: string[] = [];
  const kept = entries.flatMap((entry) => {
    const unknown = fieldsOf(entry).filter((field) => !reads(field));
    if (unknown.some((field) => !LEAVES_LESS.includes(field))) {
      out.push(String(entry.name ?? entry.node_id ?? "a peer"));
      return [];
    }
    for (const field of unknown) dropped.add(field);
    return [readable(entry, reads)];
  });
  if (dropped.size === 0 && out.length === 0) return null;
  const notes: string[] = [];
  if (dropped.size > 0) {
    notes.push(`That version does not know ${listed([...dropped])} of approved_peers.json, so it was left out.`);
  }
  if (out.length > 0) {
    notes.push(
      `That version does not know what holds ${
        listed(out)
      } back, so they are not approved any more: approve them anew.`,
    );
  }
  return { text: JSON.stringify({ peers: kept }, null, 2) + "\n", notes };
}

type Entry = Record<string, unknown>;

function entriesOf(text: string): Entry[] | null {
  try {
    const { peers } = Object(JSON.parse(text)) as { peers?: unknown };
    return Array.isArray(peers) ? peers.map((entry) => Object(entry) as Entry) : null;
  } catch {
    return null;
  }
}

function fieldsOf(entry: Entry): string[] {
  return [...Object.keys(entry), ...Object.keys(Object(entry.permissions))];
}

function readable(entry: Entry, reads: (field: string) => boolean): Entry {
  const only = (fields: object) => Object.fromEntries(Object.entries(fields).filter(([name]) => reads(name)));
  return { ...only(entry), ...entry.permissions === undefined ? {} : { permissions: only(Object(entry.permissions)) } };
}

function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
