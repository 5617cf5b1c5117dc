import { createHash } from "node:crypto";
import { StoreError } from "./store_error.ts";

/** What stands behind the last page of a backup: SQLite does not look there, and finds no damage inside of texts. */
const LABEL = "ark-backup/1 sha256 ";
const SEAL_BYTES = LABEL.length + 64 + 1;
const BLOCK_BYTES = 1 << 20;
const MAGIC = "SQLite format 3\0";

/** Writes the SHA-256 of a finished database behind it, and makes both last a loss of power. */
export async function seal(path: string): Promise<void> {
  using file = await Deno.open(path, { read: true, write: true });
  const hash = createHash("sha256");
  const block = new Uint8Array(BLOCK_BYTES);
  for (let count = await file.read(block); count !== null; count = await file.read(block)) {
    hash.update(block.subarray(0, count));
  }
  const text = new TextEncoder().encode(`${LABEL}${hash.digest("hex")}\n`);
  for (let done = 0; done < text.length;) done += await file.write(text.subarray(done));
  await file.sync();
}

/**
 * Copies a backup without its seal into a new file, and compares it with the seal.
 *
 * @returns Whether it has one. A database that was copied by hand has none.
 * @throws {StoreError} where it is no SQLite file, was cut, or is damaged. The message is the end of a sentence.
 */
export async function copyUnsealed(from: string, to: string): Promise<"sealed" | "bare"> {
  using source = await Deno.open(from);
  const { size, isFile } = await source.stat();
  if (!isFile) throw new StoreError("it is no file");
  const head = new Uint8Array(100);
  await readFully(source, head);
  if (new TextDecoder().decode(head.subarray(0, MAGIC.length)) !== MAGIC) {
    throw new StoreError("it is no backup of an ark-node");
  }
  const view = new DataView(head.buffer);
  const pageBytes = view.getUint16(16) === 1 ? 65_536 : view.getUint16(16);
  const bytes = pageBytes * view.getUint32(28);
  if (size !== bytes && size !== bytes + SEAL_BYTES) throw new StoreError("a part of it is missing, or it is damaged");
  await source.seek(0, Deno.SeekMode.Start);
  using target = await Deno.open(to, { write: true, createNew: true, mode: 0o600 });
  const hash = createHash("sha256");
  const block = new Uint8Array(BLOCK_BYTES);
  for (let left = bytes; left > 0;) {
    const part = block.subarray(0, Math.min(left, block.length));
    await readFully(source, part);
    hash.update(part);
    for (let done = 0; done < part.length;) done += await target.write(part.subarray(done));
    left -= part.length;
  }
  if (size === bytes) return "bare";
  const stated = new Uint8Array(SEAL_BYTES);
  await readFully(source, stated);
  if (new TextDecoder().decode(stated) !== `${LABEL}${hash.digest("hex")}\n`) throw new StoreError("it is damaged");
  return "sealed";
}

async function readFully(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const count = await file.read(bytes.subarray(done));
    // A file of fewer bytes than a head is nothing that could be told apart.
    if (count === null) throw new StoreError(done < 16 ? "it is no backup of an ark-node" : "a part of it is missing");
    done += count;
  }
}
