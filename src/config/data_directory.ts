import { isAbsolute, join } from "node:path";

/** Where a node of an Ark server keeps its data when that folder exists and is writable (from the founding texts). */
export const ARK_SERVER_DATA = "/opt/ark/data/arknet";

/** What {@linkcode defaultDataDirectory} asks of the machine. */
export interface Machine {
  /** Operating system, as `Deno.build.os`. */
  os: string;
  /** Reads an environment variable. */
  env(name: string): string | undefined;
  /** Whether a folder exists and can be written. */
  writable(path: string): boolean;
}

/** Picks the data directory: `$ARK_DATA`, the Ark server's folder where it is writable, else the platform's own. */
export function defaultDataDirectory({ os, env, writable }: Machine): string {
  const asked = env("ARK_DATA");
  if (asked) return asked;
  if (writable(ARK_SERVER_DATA)) return ARK_SERVER_DATA;
  const home = env("HOME") || env("USERPROFILE") || "/var/lib";
  if (os === "darwin") return join(home, "Library", "Application Support", "ark-node");
  if (os === "windows") return join(env("LOCALAPPDATA") || home, "ark-node");
  // A relative one is to be ignored, says the XDG specification.
  const shared = env("XDG_DATA_HOME") ?? "";
  return join(isAbsolute(shared) ? shared : join(home, ".local", "share"), "ark-node");
}

/** Paths inside a data directory, all in one place. */
export interface DataPaths {
  /** The directory itself. */
  root: string;
  /** Ed25519 key, 0600. */
  key: string;
  /** SQLite database. */
  database: string;
  /** Approved peers, the source of truth. */
  peers: string;
  /** Audit log as JSON lines. */
  audit: string;
  /** Token of the admin API, 0600. */
  adminToken: string;
  /** Lock of the running node; says where its API listens. */
  lock: string;
  /** How many copies of models the owner wishes for. */
  copies: string;
  /** Until when sharing is paused. */
  sharing: string;
  /** What the owner's other nodes offered last, and how they are woken. */
  ownNodes: string;
  /** Models that are always looked for. */
  models: string;
}

/** Names every file of a data directory. */
export function dataPaths(root: string): DataPaths {
  return {
    root,
    key: join(root, "node.key"),
    database: join(root, "node.db"),
    peers: join(root, "approved_peers.json"),
    audit: join(root, "audit.log"),
    adminToken: join(root, "admin.token"),
    lock: join(root, "node.lock"),
    copies: join(root, "copies.json"),
    sharing: join(root, "sharing.json"),
    ownNodes: join(root, "own_nodes.json"),
    models: join(root, "models"),
  };
}
