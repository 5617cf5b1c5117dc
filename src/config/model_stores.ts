import { isAbsolute, join, resolve } from "node:path";
import { type Alias, isModelAlias, mayCarrySecret } from "@ark/node/models";
import { reasonOf } from "@ark/node/protocol";
import { ConfigError } from "./config_error.ts";

/** Where models of other programs lie, and where models are fetched from. */
export interface ModelStores {
  /** Ollama's folder with `manifests` and `blobs`, or null. */
  readonly ollama: string | null;
  /** Folder of Hugging Face's tools with `models--ORG--REPO`, or null. */
  readonly huggingFace: string | null;
  /** Base URL of Hugging Face, without a slash at its end. */
  readonly huggingFaceEndpoint: string;
  /** The owner's token for Hugging Face, or null. */
  readonly huggingFaceToken: string | null;
  /** Base URL of the registry that plain names such as `llama3.1:8b` are fetched from, or null for none. */
  readonly ollamaRegistry: string | null;
}

/** What {@linkcode modelStores} reads from. */
export interface ModelStoreSources {
  /** Value of a flag or of its own variable. */
  text(flag: string): string | undefined;
  /** Reads an environment variable. */
  env(name: string): string | undefined;
}

/**
 * Where the stores of Ollama and of Hugging Face's tools are: as the flag says, else as those programs' own variables say,
 * else where those programs put them, as far as there is such a folder.
 *
 * @throws {ConfigError} where a flag names a folder that is no such store.
 */
export async function modelStores({ text, env }: ModelStoreSources): Promise<ModelStores> {
  const home = env("HOME") || env("USERPROFILE") || "";
  const at = (...parts: string[]) => home === "" ? [] : [join(home, ...parts)];
  const variable = (name: string, ...below: string[]) => {
    const value = env(name) ?? "";
    return isAbsolute(value) ? [join(value, ...below)] : [];
  };
  const huggingFaceEndpoint = baseUrl("HF_ENDPOINT", env("HF_ENDPOINT") || "https://huggingface.co");
  const huggingFaceToken = await token(text("hf-token-file"), env("HF_TOKEN"));
  if (huggingFaceToken !== null && !mayCarrySecret(new URL(huggingFaceEndpoint))) {
    throw new ConfigError(
      `Cannot show a token to HF_ENDPOINT ${huggingFaceEndpoint}: anybody on the way could read it; use https, or no token`,
    );
  }
  return {
    ollama: await folder("ollama-models", {
      asked: text("ollama-models"),
      usual: [
        ...variable("OLLAMA_MODELS"),
        ...at(".ollama", "models"),
        ...home === "" ? [] : ["/usr/share/ollama/.ollama/models", "/var/lib/ollama/models"],
      ],
      needs: "manifests",
    }),
    huggingFace: await folder("hf-cache", {
      asked: text("hf-cache"),
      usual: [
        ...variable("HF_HUB_CACHE"),
        ...variable("HF_HOME", "hub"),
        ...variable("XDG_CACHE_HOME", "huggingface", "hub"),
        ...at(".cache", "huggingface", "hub"),
      ],
      needs: "",
    }),
    huggingFaceEndpoint,
    huggingFaceToken,
    ollamaRegistry: registry(text("ollama-registry")),
  };
}

/**
 * Reads `NAME=MODEL`.
 *
 * @throws {ConfigError}
 */
export function aliasOf(text: string): Alias {
  const at = text.indexOf("=");
  const [name, model] = [text.slice(0, at).toLowerCase(), text.slice(at + 1)];
  if (at < 1 || model === "") {
    throw new ConfigError(`Cannot use --alias ${text}: it is NAME=MODEL, such as gpt-4o=llama3.1:8b`);
  }
  if (!isModelAlias(name)) {
    throw new ConfigError(`Cannot use --alias ${text}: a name has letters, digits and . _ : / - between them`);
  }
  return { name, model };
}

async function folder(
  flag: string,
  { asked, usual, needs }: { asked: string | undefined; usual: readonly string[]; needs: string },
): Promise<string | null> {
  if (asked === "off") return null;
  if (asked !== undefined) {
    const path = resolve(asked);
    if (await isFolder(join(path, needs))) return path;
    const lacks = needs === "" ? "there is no such folder" : `there is no folder ${needs} in it`;
    throw new ConfigError(`Cannot use --${flag} ${asked}: ${lacks}; name another one, or off`);
  }
  for (const path of usual) if (await isFolder(join(path, needs))) return path;
  return null;
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch {
    return false;
  }
}

function registry(text: string | undefined): string | null {
  return text === undefined || text === "off" ? null : baseUrl("--ollama-registry", text);
}

/** A token never stands in a flag, where every program of the machine could read it. */
async function token(file: string | undefined, variable: string | undefined): Promise<string | null> {
  let found = variable?.trim() ?? "";
  if (file !== undefined) {
    try {
      found = (await Deno.readTextFile(file)).trim();
    } catch (error) {
      throw new ConfigError(`Cannot read the file of --hf-token-file ${file}: ${reasonOf(error)}`);
    }
    if (found === "") throw new ConfigError(`Cannot use --hf-token-file ${file}: there is nothing in it`);
  }
  if (found === "") return null;
  if (/^[\x21-\x7e]{1,4096}$/.test(found)) return found;
  throw new ConfigError("Cannot use the token for Hugging Face: it is one line of printable characters");
}

function baseUrl(what: string, text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.search !== "" || url.hash !== "") {
    throw new ConfigError(`Cannot use ${what} ${text}: it is a URL such as https://models.example`);
  }
  return url.href.replace(/\/+$/, "");
}
