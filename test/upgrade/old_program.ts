/** Earlier versions of this program, taken out of the repository's history. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { finished } from "../support/node_process.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Last commits of the versions whose data the fixtures are, by the number of steps of their database. */
export const OLD_VERSIONS: Readonly<Record<string, string>> = {
  "0001": "b882ef1",
  "0007": "0fb4f35",
  "0008": "898d314",
  "0009": "b7296a1",
  "0010": "4f7e399",
};

/** Unpacks a version into a folder, and returns how it is run; null where there is no history, as in an unpacked archive. */
export async function oldProgram(version: string, folder: string): Promise<string[] | null> {
  const revision = OLD_VERSIONS[version] ?? assert.fail(`There is no version ${version}`);
  const archive = `${folder}/${version}.tar`;
  const git = await finished("git", { args: ["-C", ROOT, "archive", "-o", archive, revision] }).catch(() => null);
  if (git?.code !== 0) return null;
  const source = `${folder}/${version}`;
  await Deno.mkdir(source);
  assert.equal((await finished("tar", { args: ["-xf", archive, "-C", source] })).code, 0);
  await Deno.remove(archive);
  // Links to each file: behind a link to the folder the engine's process would look for its files at a path that it may not read.
  assert.equal((await finished("cp", { args: ["-al", `${ROOT}node_modules`, `${source}/node_modules`] })).code, 0);
  return [Deno.execPath(), "run", "-A", "--no-check", "--node-modules-dir=manual", `${source}/main.ts`];
}
