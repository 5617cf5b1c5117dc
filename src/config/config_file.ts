import { join } from "node:path";
import { parse as parseToml } from "smol-toml";
import { reasonOf } from "@ark/node/protocol";
import { ConfigError } from "./config_error.ts";
import { type FlagSpec, nearest, type ParsedArgs } from "./flags.ts";

/** What a configuration file says. */
export interface ConfigFile {
  /** Where it lies. */
  readonly path: string;
  /** Its settings, by the names of the flags. */
  readonly values: ParsedArgs["flags"];
}

/** Names that are looked for in the data directory. */
export const CONFIG_FILE_NAMES = ["ark.toml", "ark.json"] as const;

/** A file that is longer is none that a person wrote. */
const MOST_BYTES = 1 << 20;

/**
 * Reads a configuration file, TOML or, by the end of its name, JSON.
 *
 * @throws {ConfigError} with one sentence that says which file, where in it, and what is wrong.
 */
export async function readConfigFile(path: string, specs: Record<string, FlagSpec>): Promise<ConfigFile> {
  let text: string;
  try {
    if ((await Deno.stat(path)).size > MOST_BYTES) throw new ConfigError(`Cannot use ${path}: it is longer than 1 MiB`);
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const why = error instanceof Deno.errors.NotFound ? "there is no such file" : reasonOf(error);
    throw new ConfigError(`Cannot read the configuration ${path}: ${why}`);
  }
  return parseConfig(text, { path, specs });
}

/**
 * Reads the text of a configuration file.
 *
 * @throws {ConfigError} as {@linkcode readConfigFile} does.
 */
export function parseConfig(
  text: string,
  { path, specs }: { path: string; specs: Record<string, FlagSpec> },
): ConfigFile {
  let value: unknown;
  try {
    value = isJson(path) ? JSON.parse(text) : parseToml(text);
  } catch (error) {
    // The parser shows the line below its sentence, which may hold anything.
    throw new ConfigError(`Cannot read the configuration ${path}: ${reasonOf(error).split("\n")[0]?.trim()}`);
  }
  return { path, values: configValues(value, { path, specs }) };
}

/**
 * The configuration file of a data directory, or null where there is none.
 *
 * @throws {ConfigError} as {@linkcode readConfigFile} does, and where there are two.
 */
export async function findConfigFile(root: string, specs: Record<string, FlagSpec>): Promise<ConfigFile | null> {
  const found: string[] = [];
  for (const name of CONFIG_FILE_NAMES) {
    const path = join(root, name);
    if (await Deno.stat(path).then(({ isFile }) => isFile, () => false)) found.push(path);
  }
  const [path, second] = found;
  if (second !== undefined) throw new ConfigError(`There are two configurations, ${path} and ${second}: remove one`);
  return path === undefined ? null : await readConfigFile(path, specs);
}

/** Whether a configuration file is JSON and not TOML. */
export function isJson(path: string): boolean {
  return /\.json$/i.test(path);
}

/** The setting that a key of the file means: a flag's name, of which the dashes may be written as `_`. */
export function settingName(key: string): string {
  return key.replaceAll("_", "-");
}

function configValues(
  value: unknown,
  { path, specs }: { path: string; specs: Record<string, FlagSpec> },
): ParsedArgs["flags"] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ConfigError(`Cannot use ${path}: it must be an object of settings`);
  }
  const values: ParsedArgs["flags"] = {};
  for (const [key, given] of Object.entries(value)) {
    // For editors, which find the schema by it.
    if (key === "$schema") continue;
    const name = settingName(key);
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (spec === undefined) {
      const near = nearest(name, Object.keys(specs));
      throw new ConfigError(
        `Cannot use ${path}: it has an unknown setting ${key.slice(0, 60)}${
          near === null ? "" : `, did you mean ${near}`
        }`,
      );
    }
    values[name] = settingOf(given, { key, path, spec });
  }
  return values;
}

function settingOf(
  given: unknown,
  { key, path, spec }: { key: string; path: string; spec: FlagSpec },
): string | boolean | string[] {
  const wrong = (what: string) => new ConfigError(`Cannot use ${path}: ${key} must be ${what}`);
  if (spec.value === undefined) {
    if (typeof given !== "boolean") throw wrong("true or false");
    return given;
  }
  if (spec.multiple) {
    const list = Array.isArray(given) ? given : [given];
    return list.map((one) => textOf(one) ?? raise(wrong("a list of texts")));
  }
  return textOf(given) ?? raise(wrong(`a text such as ${spec.value}`));
}

function textOf(value: unknown): string | null {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "bigint" ? String(value) : null;
}

function raise(error: Error): never {
  throw error;
}
