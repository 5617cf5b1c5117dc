// deno-lint-ignore-file no-console
/**
 * How fast a file that is fetched in chunks is checked and written, without any network: 512 MiB by four lanes in random order,
 * with the SHA-256 of the whole, in turn with what it is made of: hashing the same bytes in one thread, and writing them.
 */
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { PartBlob } from "@ark/node/models";
import { CHUNK_BYTES } from "@ark/node/protocol";
import { Random } from "../fuzz/random.ts";
import { randomBlob } from "../models/blobs/random_blob.ts";
import { heading } from "./samples.ts";

const PIECES = 16;
const REPEATS = 8;
const CHUNKS = PIECES * REPEATS;
const SIZE = CHUNKS * CHUNK_BYTES;
const LANES = 4;
const ROUNDS = 2;
const GOAL = 400;

/** Measures and prints. */
export async function partBench(): Promise<void> {
  heading("A part of 512 MiB, four lanes");
  const piece = randomBlob(PIECES * CHUNK_BYTES);
  const hashes = new Uint8Array(32 * CHUNKS);
  const whole = createHash("sha256");
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    hashes.set(piece.list.hashes, repeat * piece.list.hashes.length);
    whole.update(piece.bytes);
  }
  const blob = { sha256: whole.digest("hex"), size: SIZE, list: { size: SIZE, hashes } };
  const directory = await Deno.makeTempDir({ prefix: "ark-bench-", ...Deno.env.has("TMPDIR") ? {} : { dir: "/tmp" } });
  try {
    for (let round = 1; round <= ROUNDS; round++) {
      const hashed = rate(
        timed(() => {
          for (let index = 0; index < CHUNKS / 4; index++) {
            createHash("sha256").update(piece.chunk(index % PIECES)).digest();
          }
        }) * 4,
      );
      const written = rate(await plainWrites(join(directory, "plain"), piece.chunk(0)));
      for (const order of ["in order", "at random"] as const) {
        const path = join(directory, "a.part");
        await using part = await PartBlob.open(path, { ...blob, signal: new AbortController().signal });
        const before = Deno.memoryUsage().rss;
        const random = new Random(round);
        const all = Array.from(
          { length: CHUNKS },
          (_, index) => ({ index, key: order === "in order" ? index : random.next() }),
        );
        const todo = all.sort((a, b) => a.key - b.key).values();
        let [rss, blocked, last] = [before, 0, performance.now()];
        const timer = setInterval(() => {
          rss = Math.max(rss, Deno.memoryUsage().rss);
          blocked = Math.max(blocked, performance.now() - last - 5);
          last = performance.now();
        }, 5);
        const began = performance.now();
        const lane = async () => {
          for (const { index } of todo) {
            if (!await part.write(index, piece.chunk(index % PIECES))) throw new Error("A chunk was refused");
          }
        };
        await Promise.all(Array.from({ length: LANES }, lane));
        const wroteMs = performance.now() - began;
        await part.finish(join(directory, "whole"));
        const finishMs = performance.now() - began - wroteMs;
        clearInterval(timer);
        await Deno.remove(join(directory, "whole"));
        console.log(
          `${order.padEnd(9)}  checked and written ${
            rate(wroteMs).toFixed(0).padStart(5)
          } MB/s (goal ${GOAL})   finish ` +
            `${finishMs.toFixed(0).padStart(5)} ms   one thread of SHA-256 ${
              hashed.toFixed(0).padStart(5)
            } MB/s   plain writes ` +
            `${written.toFixed(0).padStart(5)} MB/s   memory +${((rss - before) / 2 ** 20).toFixed(0)} MiB   ` +
            `event loop held up ${blocked.toFixed(0)} ms at most`,
        );
      }
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function plainWrites(path: string, chunk: Uint8Array): Promise<number> {
  const file = await open(path, "w");
  const began = performance.now();
  const todo = Array.from({ length: CHUNKS }, (_, index) => index).values();
  const lane = async () => {
    for (const index of todo) await file.write(chunk, 0, chunk.length, index * CHUNK_BYTES);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  await file.datasync();
  const ms = performance.now() - began;
  await file.close();
  await Deno.remove(path);
  return ms;
}

function timed(work: () => void): number {
  const began = performance.now();
  work();
  return performance.now() - began;
}

function rate(ms: number): number {
  return SIZE / 1e6 / (ms / 1_000);
}
