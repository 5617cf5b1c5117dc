import { statfs } from "node:fs/promises";
import type { DataPaths } from "@ark/node/config";
import { unsafeEnvironment } from "@ark/node/identity";
import type { PrivateFile, StillFacts } from "./facts.ts";

/** Looks at the data directory and the environment. Nothing that it cannot look at makes it fail. */
export async function stillFacts(paths: DataPaths, env: (name: string) => string | undefined): Promise<StillFacts> {
  const files = await Promise.all([
    privateFile(paths.root, "the data directory"),
    privateFile(paths.key, "the key"),
    privateFile(paths.adminToken, "the admin token"),
    privateFile(paths.database, "the database"),
    privateFile(paths.audit, "the audit log"),
  ]);
  const token = await Deno.stat(paths.adminToken).catch(() => null);
  const made = token?.mtime ?? null;
  return {
    files,
    environment: unsafeEnvironment(env),
    disk: await room(paths.root),
    tokenAgeMs: made === null ? null : Date.now() - made.getTime(),
  };
}

async function privateFile(path: string, what: string): Promise<PrivateFile> {
  const info = await Deno.stat(path).catch(() => null);
  return { path, what, mode: Deno.build.os === "windows" ? null : info?.mode ?? null };
}

async function room(path: string): Promise<StillFacts["disk"]> {
  try {
    const { bavail, bsize } = await statfs(path);
    return { path, freeBytes: Number(bavail) * Number(bsize) };
  } catch {
    return null;
  }
}
