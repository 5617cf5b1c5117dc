/** Makes a release: a folder that install.sh installs from. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import type { ReleaseKey } from "./release_key.ts";

const ROOT = new URL("../../", import.meta.url);

/** What goes into a release. */
export interface ReleaseOptions {
  /** The folder, which is made, and must be empty where it is there. */
  folder: string;
  /** Its version. */
  version: string;
  /** Signs it. */
  key: ReleaseKey;
  /** Portable executables of `compile.sh`, of which the archives are taken, and compiled ones, which travel as they are. */
  executables?: readonly string[];
  /** Archives that are there already, by the names that they get. */
  archives?: Readonly<Record<string, Uint8Array>>;
}

/**
 * Writes a release: an archive for each executable, `VERSION`, `LICENSE`, `SHA256SUMS` over all of them, its signatures, and
 * the `install.sh` that knows the key.
 *
 * @returns names of the files, in order.
 */
export async function makeRelease({ folder, version, key, executables = [], archives = {} }: ReleaseOptions): Promise<
  string[]
> {
  await Deno.mkdir(folder, { recursive: true });
  for await (const { name } of Deno.readDir(folder)) {
    throw new Error(`The folder ${folder} is not empty, it has ${name}: name a new one`);
  }
  const put = (name: string, text: string | Uint8Array) =>
    Deno.writeFile(join(folder, name), typeof text === "string" ? new TextEncoder().encode(text) : text);
  for (const executable of executables) await takeArchive(executable, { folder, version });
  for (const [name, bytes] of Object.entries(archives)) await put(name, bytes);
  await put("VERSION", `${version}\n`);
  await Deno.copyFile(new URL("LICENSE", ROOT), join(folder, "LICENSE"));
  const names = (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
  const lines = await Promise.all(names.map(async (name) => `${await sha256(join(folder, name))}  ${name}\n`));
  const sums = new TextEncoder().encode(lines.join(""));
  await put("SHA256SUMS", sums);
  await put("SHA256SUMS.sig", key.sign(sums));
  await put("SHA256SUMS.sshsig", key.signForSsh(sums));
  const script = await Deno.readTextFile(new URL("install.sh", ROOT));
  await put("install.sh", script.replace(/^release_key=''$/m, `release_key='${key.public}'`));
  await Deno.chmod(join(folder, "install.sh"), 0o755);
  return [...names, "SHA256SUMS", "SHA256SUMS.sig", "SHA256SUMS.sshsig", "install.sh"].sort();
}

/** Makes the portable executable of this machine, by compile.sh. */
export async function portableExecutable(output: string, variant: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(fileURLToPath(new URL("compile.sh", ROOT)), {
    args: ["--portable", "--variant", variant, "--output", output],
    env: { DENO: Deno.execPath() },
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim());
}

/** The archive behind the script of a portable executable, or the compiled executable as it is. */
async function takeArchive(path: string, { folder, version }: { folder: string; version: string }): Promise<void> {
  const name = basename(path);
  const [, kind] = /^ark-node-((?:x86_64|aarch64)-[\w-]+(?:\.exe)?)$/.exec(name) ?? [];
  if (kind === undefined) {
    throw new Error(`Cannot take ${path}: it is named as compile.sh names it, ark-node-x86_64-unknown-linux-gnu`);
  }
  const start = await payloadOf(path, version);
  const target = start === null ? `ark-node-${version}-${kind}` : `ark-node-${version}-${kind}.tar.gz`;
  await pipeline(createReadStream(path, { start: start ?? 0 }), createWriteStream(join(folder, target)));
}

/** Where the archive begins in a portable executable, or null where it is none. */
async function payloadOf(path: string, version: string): Promise<number | null> {
  using file = await Deno.open(path);
  const head = new Uint8Array(4_096);
  const text = new TextDecoder().decode(head.subarray(0, await file.read(head) ?? 0));
  if (!text.startsWith("#!/bin/sh\n")) return null;
  const [, start] = /^ark_payload=(\d+)$/m.exec(text) ?? [];
  const [, made] = /^ark_name=(\S+)-\w+-[0-9a-f]{16}$/m.exec(text) ?? [];
  if (start === undefined) throw new Error(`Cannot take ${path}: compile.sh did not make it`);
  if (made !== version) throw new Error(`Cannot take ${path}: it is version ${made}, and the release is ${version}`);
  // tail counts from one.
  return Number(start) - 1;
}

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
