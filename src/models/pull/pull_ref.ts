import { createHash } from "node:crypto";
import { ArkError } from "@ark/node/protocol";
import { isLoopback } from "./http_source.ts";
import { isSafeName, shown } from "./safe_name.ts";

/** Where a model is to be fetched from. */
export type PullRef =
  | {
    /** A repository of Hugging Face. */
    readonly kind: "huggingface";
    /** Organisation or user. */
    readonly organization: string;
    /** Name of the repository. */
    readonly repository: string;
    /** Quantisation or file name, or null for the usual one. */
    readonly choice: string | null;
    /** As it is told and remembered. */
    readonly text: string;
  }
  | {
    /** One file of a web server. */
    readonly kind: "url";
    /** Its address, without the part behind `#`. */
    readonly url: URL;
    /** Its name, which ends with `.gguf`. */
    readonly fileName: string;
    /** SHA-256 in hex that it must have, or null. */
    readonly sha256: string | null;
    /** As it is told and remembered. */
    readonly text: string;
  }
  | {
    /** A name of an Ollama registry. */
    readonly kind: "ollama";
    /** `library`, or who made it. */
    readonly namespace: string;
    /** Name of the model. */
    readonly model: string;
    /** Its tag. */
    readonly tag: string;
    /** As it is told and remembered. */
    readonly text: string;
  };

const LONGEST = 2_000;

/**
 * Reads what a person wants to fetch: `hf.co/ORG/REPO[:QUANT]`, `https://…/FILE.gguf[#sha256=HEX]`, or `NAME[:TAG]` as Ollama
 * writes it.
 *
 * @throws {ArkError} `bad_request` with a sentence.
 */
export function parsePullRef(text: string): PullRef {
  if (text.length === 0 || text.length > LONGEST) throw bad("Name a model of 1 to 2000 characters");
  const repository = /^(?:https?:\/\/)?(?:hf\.co|huggingface\.co)\/(.+)$/i.exec(text)?.[1];
  if (repository !== undefined && !/\.gguf(?:[?#]|$)/i.test(repository)) return repositoryRef(repository);
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return urlRef(text);
  if (repository !== undefined) {
    throw bad("A file of Hugging Face is named by its quantisation: hf.co/ORG/REPO:QUANT, or by its whole URL");
  }
  return ollamaRef(text);
}

function repositoryRef(text: string): PullRef {
  const [path = "", choice, ...more] = text.split(":");
  const parts = path.split("/");
  const [organization = "", repository = ""] = parts;
  const wanted = choice === undefined || choice.toLowerCase() === "latest" ? null : choice;
  if (parts.length !== 2 || more.length > 0 || !parts.every(isSafeName) || (wanted !== null && !isSafeName(wanted))) {
    throw bad(
      `Cannot fetch hf.co/${text.slice(0, 100)}: a repository is written hf.co/ORG/REPO or hf.co/ORG/REPO:QUANT`,
    );
  }
  const name = `hf.co/${organization}/${repository}`;
  return {
    kind: "huggingface",
    organization,
    repository,
    choice: wanted,
    text: wanted === null ? name : `${name}:${wanted}`,
  };
}

function urlRef(text: string): PullRef {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw bad("Only http and https addresses are fetched");
  }
  if (url.username !== "" || url.password !== "") throw bad("An address with a password in it is not fetched");
  const hash = url.hash;
  const sha256 = /^#sha256=([0-9a-f]{64})$/i.exec(hash)?.[1]?.toLowerCase() ?? null;
  if (hash !== "" && sha256 === null) throw bad("Behind # stands sha256= and 64 hexadecimal digits, or nothing");
  if (url.protocol === "http:" && sha256 === null && !isLoopback(url.hostname)) {
    throw bad(
      "Anybody on the way can change what comes over http: use https, or put #sha256= and the digest behind it",
    );
  }
  url.hash = "";
  const fileName = lastPart(url);
  return { kind: "url", url, fileName, sha256, text };
}

function lastPart(url: URL): string {
  let name: string;
  try {
    name = decodeURIComponent(url.pathname.split("/").at(-1) ?? "");
  } catch {
    name = "";
  }
  if (!/\.gguf$/i.test(name)) throw bad("The address must end with the name of a .gguf file");
  if (!isSafeName(name)) throw bad(`The file's name is not one that this node writes: ${shown(name)}`);
  return name;
}

function ollamaRef(text: string): PullRef {
  const plain = text.replace(/^(?:registry\.ollama\.ai|ollama\.com)\//i, "");
  const [, path = "", tag = "latest"] = /^([^:]+)(?::([^:/]+))?$/.exec(plain) ?? [];
  const parts = path.split("/");
  if (parts.length > 2 || ![...parts, tag].every(isSafeName)) {
    throw bad(
      `Cannot fetch ${shown(text)}: write hf.co/ORG/REPO:QUANT, the https address of a .gguf file, or NAME:TAG as ` +
        "Ollama's library has it",
    );
  }
  const [model = "", namespace = "library"] = parts.reverse();
  const owner = namespace === "library" ? "" : `${namespace}/`;
  return { kind: "ollama", namespace, model, tag, text: `${owner}${model}:${tag}`.toLowerCase() };
}

/** Folder of the store where the files of a reference go, with `/` between its parts. */
export function folderOf(ref: PullRef): string {
  switch (ref.kind) {
    case "huggingface":
      return `hf.co/${ref.organization}/${ref.repository}`;
    case "ollama":
      return `ollama/${ref.namespace}/${ref.model}`;
    case "url": {
      const host = ref.url.host.toLowerCase().replaceAll(/[^a-z0-9.-]/g, "_").replaceAll(/\.{2,}/g, ".");
      // Two addresses of one server may end with the same name.
      const which = createHash("sha256").update(ref.url.href).digest("hex").slice(0, 12);
      return `web/${isSafeName(host) ? host : "address"}/${which}`;
    }
  }
}

function bad(message: string): ArkError {
  return new ArkError("bad_request", message);
}
