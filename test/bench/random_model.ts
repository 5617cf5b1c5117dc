import { createHash } from "node:crypto";
import { ggufBytes } from "../models/gguf_bytes.ts";

/** Writes a file of random bytes with the header of a model, and returns its SHA-256. */
export async function writeRandomModel(path: string, bytes: number): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path, { create: true, write: true, truncate: true });
  const write = async (piece: Uint8Array) => {
    hash.update(piece);
    for (let at = 0; at < piece.length;) at += await file.write(piece.subarray(at));
  };
  const head = ggufBytes();
  await write(head);
  const piece = new Uint8Array(1 << 20);
  for (let left = bytes - head.length; left > 0; left -= piece.length) {
    for (let at = 0; at < piece.length; at += 65_536) crypto.getRandomValues(piece.subarray(at, at + 65_536));
    await write(piece.subarray(0, Math.min(left, piece.length)));
  }
  return hash.digest("hex");
}
