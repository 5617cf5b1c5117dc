/** What the fuzz targets of streams between nodes have in common. */
import assert from "node:assert/strict";
import { ArkError, FrameSplitter } from "@ark/node/protocol";
import { mutateBytes } from "./mutate.ts";
import type { Random } from "./random.ts";
import { refusedBy } from "./target.ts";

/**
 * What the frames of a stream come to that arrives in pieces of this size, without those of which `decode` makes null; null
 * where the stream is refused.
 */
export function readFrames<T>(
  bytes: Uint8Array,
  { size, decode }: { size: number; decode: (frame: Uint8Array) => T | null },
): T[] | null {
  const splitter = new FrameSplitter();
  const read: T[] = [];
  try {
    for (let at = 0; at < bytes.length; at += size) {
      // Frames are views of what arrived, and must not change with what comes after.
      for (const frame of splitter.push(bytes.slice(at, at + size))) {
        const decoded = decode(frame);
        if (decoded !== null) read.push(decoded);
      }
    }
  } catch (error) {
    assert.ok(!(error instanceof ArkError) || error.code === "unavailable");
    refusedBy(error, ArkError);
    return null;
  }
  return read;
}

/** A stream with some bytes changed, or with one of some frames put anywhere. */
export function mutateFrames(
  random: Random,
  bytes: Uint8Array,
  { other, frames }: { other: Uint8Array; frames: readonly string[] },
): Uint8Array {
  if (!random.once(3)) return mutateBytes(random, bytes, other);
  const held = new TextDecoder().decode(bytes).split(/(?<=\n\n)/);
  held.splice(random.below(held.length), random.below(2), random.pick(frames));
  return new TextEncoder().encode(held.join(""));
}
