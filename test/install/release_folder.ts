/** Releases for tests: a real one, and small ones whose program is a script. */
import { generateKeyPairSync } from "node:crypto";
import project from "../../deno.json" with { type: "json" };
import { makeRelease, portableExecutable } from "../../packaging/release/release.ts";
import { ReleaseKey } from "../../packaging/release/release_key.ts";

/** A new key that signs releases. */
export function newReleaseKey(): ReleaseKey {
  const { privateKey } = generateKeyPairSync("ed25519");
  return new ReleaseKey(privateKey.export({ type: "pkcs8", format: "pem" }).toString());
}

/** Makes the release of this tree for this machine, in a new folder; returns the name of its archive. */
export async function realRelease(folder: string, { work }: { work: string }): Promise<void> {
  const executable = `${work}/ark-node-${Deno.build.target}`;
  await portableExecutable(executable, "cpu");
  await makeRelease({ folder, version: project.version, key: newReleaseKey(), executables: [executable] });
  await Deno.remove(executable);
}

/** An archive whose program is a shell script. */
export async function scriptArchive(script: string): Promise<Uint8Array> {
  const folder = await Deno.makeTempDir({ prefix: "ark-archive-" });
  try {
    await Deno.writeTextFile(`${folder}/ark-node`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    await Deno.writeFile(`${folder}/filling`, crypto.getRandomValues(new Uint8Array(20_000)));
    const { success, stdout } = await new Deno.Command("tar", {
      args: ["-czf", "-", "-C", folder, "ark-node", "filling"],
    })
      .output();
    if (!success) throw new Error("tar failed");
    return stdout;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A release that is like a real one but for its version, signed with a key of its own; returns that. */
export async function nextRelease(
  folder: string,
  { like, version }: { like: string; version: string },
): Promise<string> {
  const work = await Deno.makeTempDir({ prefix: "ark-next-" });
  try {
    const name = (await Array.fromAsync(Deno.readDir(like), (file) => file.name)).find((one) =>
      one.endsWith(".tar.gz")
    );
    await tar("-xzf", `${like}/${name}`, "-C", work);
    const path = `${work}/app/deno.json`;
    await Deno.writeTextFile(path, JSON.stringify({ ...JSON.parse(await Deno.readTextFile(path)), version }));
    const archive = `${folder}.tar.gz`;
    await tar(
      "-I",
      "gzip -1",
      "-cf",
      archive,
      "-C",
      work,
      ...await Array.fromAsync(Deno.readDir(work), (one) => one.name),
    );
    const key = newReleaseKey();
    const archives = { [`ark-node-${version}-${Deno.build.target}.tar.gz`]: await Deno.readFile(archive) };
    await Deno.remove(archive);
    await makeRelease({ folder, version, key, archives });
    return key.public;
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function tar(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("tar", { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}
