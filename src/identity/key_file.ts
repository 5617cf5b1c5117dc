import { basename, dirname, join, resolve } from "node:path";
import { generateIdentity, Identity } from "./identity.ts";

/** The node's key cannot be used as it lies on the disk. The message says what to do; the file is left as it is. */
export class IdentityError extends Error {
  /** Always `"IdentityError"`. */
  override readonly name = "IdentityError";
}

/** Bits of a mode that let others than the owner in. */
const OTHERS = 0o077;
/** A private key in PEM has some 120 bytes; whatever is much longer is another file. */
const MOST_BYTES = 16 << 10;

/**
 * Loads the node's identity from its key file, and makes both when there is none.
 *
 * The file is PKCS#8 in PEM, mode 0600, in a directory of mode 0700. A new key is durable before this returns. An existing
 * file is never changed, whatever is in it.
 *
 * @throws {IdentityError} when others may read the file or enter its directory, or when the file is no Ed25519 key.
 */
export async function loadIdentity(path: string): Promise<Identity> {
  const file = resolve(path);
  const directory = dirname(file);
  await makeDirectory(directory);
  refuseLoose(await Deno.stat(directory), { path: directory, what: "directory", mode: "700" });
  const known = await readKeyFile(file);
  if (known !== null) return known;
  return await createKeyFile(file) ?? await readKeyFile(file) ?? failed(file);
}

async function makeDirectory(directory: string): Promise<void> {
  try {
    // Only the last directory holds secrets; those above it keep the system's usual mode.
    await Deno.mkdir(dirname(directory), { recursive: true });
    await Deno.mkdir(directory, { mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

/** Reads a key file; null where there is none. Refuses what {@linkcode loadIdentity} refuses. */
export async function readKeyFile(path: string): Promise<Identity | null> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path, { read: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  using open = file;
  // The mode of what was opened, not of what the path names by now.
  const info = await open.stat();
  if (!info.isFile || info.size > MOST_BYTES) throw corrupt(path);
  refuseLoose(info, { path, what: "key file", mode: "600" });
  try {
    return new Identity(await new Response(open.readable).text());
  } catch (error) {
    if (error instanceof SyntaxError) throw corrupt(path);
    throw error;
  }
}

/** Writes a new key; null when somebody else was faster. */
export async function createKeyFile(path: string): Promise<Identity | null> {
  const identity = generateIdentity();
  const temporary = await writeBeside(path, identity.privateKeyPem());
  try {
    // A link, unlike a rename, fails when the name exists: a key is never replaced.
    await Deno.link(temporary, path);
    await syncDirectory(dirname(path));
    return identity;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return null;
    throw error;
  } finally {
    await Deno.remove(temporary).catch(() => {});
  }
}

/** Replaces a file of mode 0600 so that after a power cut there is the old text or the new one, never a part. */
export async function writeSecret(path: string, text: string): Promise<void> {
  const temporary = await writeBeside(path, text);
  try {
    await Deno.rename(temporary, path);
    await syncDirectory(dirname(path));
  } finally {
    await Deno.remove(temporary).catch(() => {});
  }
}

/** Writes a file of mode 0600 durably under a name of its own beside `path`, and returns that name. */
async function writeBeside(path: string, text: string): Promise<string> {
  const temporary = join(dirname(path), `.${basename(path)}.${crypto.randomUUID()}`);
  try {
    using file = await Deno.open(temporary, { write: true, createNew: true, mode: 0o600 });
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    await file.sync();
    return temporary;
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}

/** Makes names in a directory durable. */
export async function syncDirectory(directory: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  using handle = await Deno.open(directory, { read: true });
  await handle.sync();
}

function refuseLoose(info: Deno.FileInfo, of: { path: string; what: string; mode: string }): void {
  // Windows has no such modes; there the profile directory's access list protects the key.
  if (info.mode === null || Deno.build.os === "windows" || (info.mode & OTHERS) === 0) return;
  const mode = (info.mode & 0o7777).toString(8).padStart(4, "0");
  throw new IdentityError(
    `The ${of.what} ${of.path} is open to other users (mode ${mode}): run chmod ${of.mode} ${quoted(of.path)}`,
  );
}

function corrupt(path: string): IdentityError {
  return new IdentityError(
    `The key file ${path} holds no Ed25519 private key (PKCS#8 in PEM) and was left as it is: restore it from a backup, ` +
      "or move it away to start with a new identity, which peers must approve again",
  );
}

function failed(path: string): never {
  throw new IdentityError(`The key file ${path} appeared and vanished while the node started: start it again`);
}

function quoted(path: string): string {
  return /^[\w./+-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
