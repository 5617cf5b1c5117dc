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
