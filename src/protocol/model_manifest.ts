import { type Identity, type NodeId, publicKeyIn, verify } from "@ark/node/identity";
import { isBlobId, isBlobSize } from "./blobs.ts";
import { canonicalJson } from "./canonical_json.ts";
import { bad, list, record, text } from "./decode_value.ts";
import { decodeGenerationParameters, decodeModelRef } from "./decode_request.ts";
import { isSafeName } from "./file_name.ts";
import type { GenerationParameters } from "./inference.ts";

/** Domain of the signature over a {@linkcode ModelManifest}. */
export const MANIFEST_DOMAIN = "ark-blobs/1\n";

/** Largest manifest: bytes of its canonical spelling, and of what is read as one. 1 MiB. */
export const MOST_MANIFEST_BYTES = 1 << 20;

/** Most files of one model. */
export const MOST_MANIFEST_FILES = 1_024;

/** Longest template, system message or licence, in characters. */
export const MOST_MANIFEST_TEXT = 128 << 10;

/** One file of a model. */
export interface ManifestFile {
  /** Safe name of a file, without folders; no other file of the model is called so, in upper or lower case. */
  readonly name: string;
  /** SHA-256 in hex. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
  /** Root in hex of the RFC 6962 tree over the hashes of its chunks. */
  readonly root: string;
}

/** Everything that makes a model. */
export interface ModelManifest {
  /** Version of the format. */
  readonly version: 1;
  /** `name:tag`, as the node that made it calls it. */
  readonly model: string;
  /** Its files in order; one for each part of a model that is split. */
  readonly files: readonly ManifestFile[];
  /** Chat template in Go's language as its store has it, or null. */
  readonly template: string | null;
  /** System message, or null. */
  readonly system: string | null;
  /** How it writes where a request does not say. */
  readonly parameters: GenerationParameters;
  /** Its licence as its file or its store states it, or null. */
  readonly license: string | null;
  /** When this was written, RFC 3339 in UTC with milliseconds. */
  readonly made_at: string;
}

/**
 * A manifest with the word of a node for it: that what it calls by this name is these files. It says nothing of what is in
 * them, and nobody needs to trust it: each byte is checked against the digests anyway.
 */
export interface SignedManifest {
  /** What is signed. */
  readonly manifest: ModelManifest;
  /** The node that made it. */
  readonly signed_by: NodeId;
  /** Ed25519 over {@linkcode manifestBytes}, base64. */
  readonly signature: string;
}

const FIELDS = ["version", "model", "files", "template", "system", "parameters", "license", "made_at"];
const TIME_REGEXP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** The bytes that are signed: domain, then the canonical spelling (RFC 8785). */
export function manifestBytes(manifest: ModelManifest): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(MANIFEST_DOMAIN + canonicalJson(manifest));
}

/**
 * Signs a manifest as this node.
 *
 * @throws {ArkError} `bad_request` where it is none: what nobody would accept is not signed.
 */
export function signManifest(identity: Identity, manifest: ModelManifest): SignedManifest {
  const checked = decodeModelManifest(manifest);
  return {
    manifest: checked,
    signed_by: identity.id,
    signature: identity.sign(manifestBytes(checked)).toBase64(),
  };
}

/**
 * Reads a {@linkcode SignedManifest} from any JSON value. Strict: unknown fields are refused, and so is a signature that is
 * not that of the node that it names.
 *
 * @throws {ArkError} `bad_request`
 */
export function decodeSignedManifest(value: unknown): SignedManifest {
  const { manifest, signed_by, signature } = record(value, "signed manifest", ["manifest", "signed_by", "signature"]);
  const decoded = decodeModelManifest(manifest);
  const key = typeof signed_by === "string" ? publicKeyIn(signed_by) : null;
  if (key === null || typeof signed_by !== "string") throw bad("The manifest is not signed by a node");
  const bytes = typeof signature === "string" && /^[A-Za-z0-9+/]{86}==$/.test(signature)
    ? Uint8Array.fromBase64(signature)
    : null;
  // Base64 has several spellings of some bytes: one of them counts.
  if (bytes === null || bytes.toBase64() !== signature || !verify(key, manifestBytes(decoded), bytes)) {
    throw bad("The manifest's signature is not that of the node that it names: it was changed on its way");
  }
  return { manifest: decoded, signed_by, signature };
}

/**
 * Reads a {@linkcode ModelManifest} from any JSON value. Strict: unknown fields are refused.
 *
 * @throws {ArkError} `bad_request`
 */
export function decodeModelManifest(value: unknown): ModelManifest {
  const { version, model, files, template, system, parameters, license, made_at } = record(value, "manifest", FIELDS);
  if (version !== 1) throw bad("The manifest is of another version: one of the two nodes is older than the other");
  if (typeof made_at !== "string" || !TIME_REGEXP.test(made_at) || Number.isNaN(Date.parse(made_at))) {
    throw bad("Field made_at must be a time");
  }
  const manifest: ModelManifest = {
    version,
    model: decodeModelRef(model),
    files: decodeFiles(files),
    template: textOrNull(template, "template"),
    system: textOrNull(system, "system"),
    parameters: decodeGenerationParameters(parameters),
    license: textOrNull(license, "license"),
    made_at,
  };
  if (sizeOf(manifest) > MOST_MANIFEST_BYTES) throw bad(`The manifest has more than ${MOST_MANIFEST_BYTES} bytes`);
  return manifest;
}

/** Bytes of a manifest's canonical spelling, which {@linkcode MOST_MANIFEST_BYTES} bounds. */
function sizeOf(manifest: ModelManifest): number {
  try {
    return manifestBytes(manifest).length;
  } catch {
    throw bad("The manifest has a text with half a character");
  }
}

function decodeFiles(value: unknown): ManifestFile[] {
  const files = list(value, "files", { most: MOST_MANIFEST_FILES }).map(decodeFile);
  // Some file systems take upper and lower case for the same.
  const names = new Set(files.map(({ name }) => name.toLowerCase()));
  if (names.size < files.length) throw bad("The manifest has two files of the same name");
  if (new Set(files.map(({ sha256 }) => sha256)).size < files.length) {
    throw bad("The manifest has the same file twice");
  }
  if (!Number.isSafeInteger(files.reduce((sum, { size }) => sum + size, 0))) {
    throw bad("The manifest's files are too large");
  }
  return files;
}

function decodeFile(value: unknown): ManifestFile {
  const { name, sha256, size, root } = record(value, "file", ["name", "sha256", "size", "root"]);
  if (typeof name !== "string" || !isSafeName(name)) {
    throw bad("A file's name in the manifest is not one that this node writes");
  }
  if (!isBlobId(sha256) || !isBlobId(root)) throw bad("Fields sha256 and root must be 64 hexadecimal digits");
  if (!isBlobSize(size)) throw bad("Field size must be the number of a file's bytes");
  return { name, sha256, size, root };
}

function textOrNull(value: unknown, at: string): string | null {
  return value === null ? null : text(value, at, { most: MOST_MANIFEST_TEXT });
}
