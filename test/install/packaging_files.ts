/** Reads the files of packaging/ for their tests. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { parseFlags, SERVE_FLAGS } from "@ark/node/config";
import { finished } from "../support/node_process.ts";

/** The root of the repository, with a slash behind it. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Port of the mesh where nothing else is said. */
export const MESH = 8911;
/** Port of the API where nothing else is said. */
export const API = 8910;
/** Variables that are not a flag's. */
const OTHER_VARIABLES = new Set(["ARK_DATA", "HF_TOKEN"]);

const { code: noYaml } = await finished("python3", { args: ["-c", "import yaml"] }).catch(() => ({ code: 1 }));
if (noYaml !== 0) {
  // deno-lint-ignore no-console
  console.log("packaging: tests of YAML skipped, there is no python3 with yaml (package python3-yaml)");
}

/** The documents of a YAML file, read by a parser that the node does not have. */
export async function documents<T>(path: string): Promise<T[]> {
  const script = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
  const { code, stdout, stderr } = await finished("python3", { args: ["-c", script, `${ROOT}packaging/${path}`] });
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

/** A test that reads YAML. */
export function yamlTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: noYaml !== 0, fn });
}

/** Asserts that the program takes these words of a command line, and returns them. */
export function flagsOf(args: string[]): Record<string, unknown> {
  const { flags, words } = parseFlags(args, SERVE_FLAGS);
  assert.deepEqual(words, []);
  return flags;
}

/** Asserts that an image is one and the same tomorrow. */
export function assertPinned(image: string): void {
  assert.match(image, /:[\w.-]*\d+\.\d+[\w.-]*$|:\w+-20\d{6}-slim$|@sha256:/, image);
  assert.doesNotMatch(image, /latest|stable$(?<!\d-stable)/, image);
}

/** Asserts that the program reads these variables. */
export function assertVariables(names: string[]): void {
  for (const name of names) {
    const flag = name.replace(/^ARK_/, "").toLowerCase().replaceAll("_", "-");
    assert.ok(OTHER_VARIABLES.has(name) || (name.startsWith("ARK_") && flag in SERVE_FLAGS), name);
  }
}
