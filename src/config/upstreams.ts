import { label, reasonOf } from "@ark/node/protocol";
import { ConfigError } from "./config_error.ts";
import { environmentName } from "./flag_value.ts";

/** A server beside this node's own engine. */
export interface UpstreamConfig {
  /** Label, distinct among them. */
  readonly name: string;
  /** Where its API is. */
  readonly url: string;
  /** Its key, or null where it needs none. */
  readonly key: string | null;
}

/** What {@linkcode upstreams} reads from. */
export interface UpstreamSources {
  /** `URL` or `NAME=URL`. */
  urls: readonly string[];
  /** `NAME=FILE` */
  keyFiles: readonly string[];
  /** Reads an environment variable. */
  env(name: string): string | undefined;
}

const NAME_REGEXP = /^[A-Za-z0-9][\w.-]{0,63}$/;

/**
 * Reads which servers there are, with their keys. A key never stands in a flag, where every program of the machine could
 * read it.
 *
 * @throws {ConfigError} with one sentence.
 */
export async function upstreams({ urls, keyFiles, env }: UpstreamSources): Promise<UpstreamConfig[]> {
  const files = new Map(keyFiles.map(keyFile));
  const found: UpstreamConfig[] = [];
  for (const text of urls) {
    const { name, url } = upstream(text);
    if (found.some((other) => other.name === name)) {
      throw new ConfigError(
        `Cannot use --upstream ${url}: there is one named ${name} already, give it a name as in box=${url}`,
      );
    }
    const file = files.get(name);
    files.delete(name);
    const variable = `${environmentName("upstream-key")}_${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_")}`;
    const key = file === undefined ? env(variable)?.trim() || null : await keyIn(file);
    if (key !== null && !/^[\x21-\x7e]{1,4096}$/.test(key)) {
      throw new ConfigError(`Cannot use the key of the upstream ${name}: it is one line of printable characters`);
    }
    found.push({ name, url, key });
  }
  for (const name of files.keys()) {
    throw new ConfigError(`Cannot use --upstream-key-file ${name}=…: there is no --upstream named ${name}`);
  }
  return found;
}

function upstream(text: string): { name: string; url: string } {
  const [, given, rest = text] = /^([^=/:?]+)=(.*)$/.exec(text) ?? [];
  const url = URL.parse(rest);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:") || url.search !== "" || url.hash !== "") {
    throw new ConfigError(
      `Cannot use --upstream ${
        shown(text)
      }: it is an address such as http://127.0.0.1:8080 or box=http://10.0.0.5:11434`,
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw new ConfigError(
      `Cannot use --upstream ${shown(text)}: a password does not belong there, use --upstream-key-file`,
    );
  }
  const name = label(given ?? url.host);
  if (given !== undefined && !NAME_REGEXP.test(given)) {
    throw new ConfigError(`Cannot use --upstream ${shown(text)}: a name has letters, digits, points and dashes`);
  }
  return { name, url: url.href };
}

/** What was written, without what could be a password. */
function shown(text: string): string {
  return text.replace(/\/\/[^/]*@/, "//…@").slice(0, 200);
}

function keyFile(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at < 1 || at === text.length - 1) {
    throw new ConfigError(
      `Cannot use --upstream-key-file ${text}: it is the upstream's name and a file, as in box=/etc/ark/box.key`,
    );
  }
  return [text.slice(0, at), text.slice(at + 1)];
}

async function keyIn(path: string): Promise<string> {
  try {
    return (await Deno.readTextFile(path)).trim();
  } catch (error) {
    throw new ConfigError(`Cannot read the key file ${path}: ${reasonOf(error)}`);
  }
}
