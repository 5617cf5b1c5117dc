/** Folders that vanish with the test. */
import assert from "node:assert/strict";

/** Runs a test with a new folder, and removes it afterwards. */
export async function withDirectory(test: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "ark-test-" });
  try {
    await test(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Runs a test with a small file system of its own, or says why that does not go here. */
export function withTinyDisk(kibibytes: number, test: (directory: string) => Promise<void>): Promise<void> {
  return withDirectory(async (directory) => {
    if (!await ran("mount", ["-t", "tmpfs", "-o", `size=${kibibytes}k`, "tmpfs", directory])) {
      // deno-lint-ignore no-console
      console.log("Skipped: only root can mount the small file system that this test fills");
      return;
    }
    try {
      await test(directory);
    } finally {
      assert.ok(await ran("umount", [directory]));
    }
  });
}

/** Writes a file until its file system is full. */
export async function fillDisk(path: string): Promise<void> {
  const block = new Uint8Array(100);
  using file = await Deno.open(path, { append: true, create: true });
  await assert.rejects(async () => {
    for (;;) await file.write(block);
  }, /No space left/);
}

async function ran(command: string, args: string[]): Promise<boolean> {
  if (Deno.build.os !== "linux") return false;
  return (await new Deno.Command(command, { args, stdout: "null", stderr: "null" }).output()).success;
}
