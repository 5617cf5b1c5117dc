import { dirname } from "node:path";

/** Replaces a file so that after a power cut there is what it was or what it shall be, never a part. Mode 0600. */
export async function writeDurably(path: string, contents: string | Uint8Array): Promise<void> {
  const part = `${path}.${crypto.randomUUID().slice(0, 8)}.part`;
  const bytes = typeof contents === "string" ? new TextEncoder().encode(contents) : contents;
  try {
    {
      using file = await Deno.open(part, { write: true, createNew: true, mode: 0o600 });
      for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
      await file.sync();
    }
    await Deno.rename(part, path);
  } catch (error) {
    await Deno.remove(part).catch(() => {});
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Makes a file's contents last a loss of power. */
export async function syncFile(path: string): Promise<void> {
  using file = await Deno.open(path, { read: true, write: true });
  await file.sync();
}

/** Makes a rename in a folder last. A file system that cannot sync folders has it in place all the same. */
export async function syncFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  try {
    using folder = await Deno.open(path);
    await folder.sync();
  } catch {
    return;
  }
}

/**
 * Gives what root made to whoever the folder around it belongs to: an owner who types `sudo` must not lock his node, which
 * runs as another user, out of its own files.
 */
export async function keepOwner(path: string, { like }: { like: string }): Promise<void> {
  if (Deno.build.os === "windows" || Deno.uid() !== 0) return;
  const { uid, gid } = await Deno.stat(like);
  if (uid !== null && uid !== 0) await Deno.chown(path, uid, gid);
}
