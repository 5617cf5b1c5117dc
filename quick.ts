/**
 * The program as people and shells start it: what needs no more than a few files is said before the rest is looked at.
 * Everything else is main.ts, which is also what the node starts its workers by.
 *
 * @module
 */
import { join } from "node:path";
import project from "./deno.json" with { type: "json" };
import commands from "./src/cli/command_index.json" with { type: "json" };
import type { CommandOutline } from "./src/cli/command.ts";
import { PATIENCE_MS } from "./src/cli/completion/values.ts";
import { quickAnswer } from "./src/cli/quick_answer.ts";
import { ARK_SERVER_DATA, defaultDataDirectory } from "./src/config/data_directory.ts";
import { readAdminToken } from "./src/http/admin/admin_token.ts";

/** Asks the node that runs with a data directory. Rejects where there is none. */
async function ask<T>(path: string, data: string | undefined): Promise<T> {
  const directory = data ?? usualDirectory();
  const { api } = JSON.parse(await Deno.readTextFile(join(directory, "node.lock")));
  const response = await fetch(new URL(path, api), {
    headers: { authorization: `Bearer ${await readAdminToken(join(directory, "admin.token"))}` },
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  return await response.json();
}

/** Where the node of this user or this machine runs. */
function usualDirectory(): string {
  const directories = [true, false].map((server) =>
    defaultDataDirectory({ os: Deno.build.os, env: (name) => Deno.env.get(name), writable: () => server })
  );
  return directories.find((one) => one !== ARK_SERVER_DATA || exists(join(one, "node.lock"))) ?? "";
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

const outlines: readonly CommandOutline[] = commands as CommandOutline[];
const said = await quickAnswer(Deno.args, { version: project.version, commands: outlines, ask });
if (said === null) {
  // A name that is computed: Deno reads everything that a plain one leads to, whether it is used or not.
  await import(new URL("main.ts", import.meta.url).href);
} else {
  const bytes = new TextEncoder().encode(said);
  try {
    for (let done = 0; done < bytes.length;) done += Deno.stdout.writeSync(bytes.subarray(done));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
  Deno.exit(0);
}
