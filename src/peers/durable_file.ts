import { dirname } from "node:path";

/** Replaces a file so that after a power cut there is the old text or the new one, never a part. Mode 0600. */
export async function writeDurably(path: string, text: string): Promise<void> {
  const part = `${path}.${crypto.randomUUID().slice(0, 8)}.part`;
  try {
    {
      using file = await Deno.open(part, { write: true, createNew: true, mode: 0o600 });
      const bytes = new TextEncoder().encode(text);
      for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
      await file.sync();
    }
    await Deno.rename(part, path);
  } catch (error) {
    await Deno.remove(part).catch(() => {});
    throw error;
  }
  if (Deno.build.os === "windows") return;
  // The text is in place by now: a file system that cannot sync folders is no reason to say that it is not.
  try {
    using directory = await Deno.open(dirname(path));
    await directory.sync();
  } catch {
    return;
  }
}
