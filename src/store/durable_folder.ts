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
