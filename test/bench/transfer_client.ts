// deno-lint-ignore-file no-console
/**
 * A peer that fetches all chunks of a file, in a process of its own: what it takes is not the server's. Its arguments are a
 * JSON; the answer is one.
 */
import { open } from "node:fs/promises";
import process from "node:process";
import { Identity } from "@ark/node/identity";
import { CHUNK_BYTES, chunkCount, chunkHash, chunkLength, decodeChunkList } from "@ark/node/protocol";
import { MeshClient, type MeshResponse } from "@ark/node/transport";

/** What to fetch. */
export interface TransferOrder {
  /** Private key of the peer, PEM. */
  pem: string;
  /** Id of the node that is asked. */
  id: string;
  /** Where it listens on the loopback. */
  port: number;
  /** The file. */
  sha256: string;
  /** Requests at once. */
  lanes: number;
  /** Where it is written, each chunk when it is checked; null for nowhere, and without a check. */
  into: string | null;
  /** Stops after this time, in milliseconds. */
  forMs?: number;
}

/** What came of it. */
export interface TransferOutcome {
  bytes: number;
  ms: number;
  /** CPU time, in milliseconds. */
  cpuMs: number;
  /** How much memory the process had at most beyond what it had at the beginning, in bytes. */
  grewBytes: number;
  /** Refusals for which it waited. */
  waited: number;
}

if (import.meta.main) console.log(JSON.stringify(await transfer(JSON.parse(Deno.args[0] ?? ""))));

async function transfer(
  { pem, id, port, sha256, lanes, into, forMs = Infinity }: TransferOrder,
): Promise<TransferOutcome> {
  await using client = new MeshClient({ identity: new Identity(pem) });
  const to = { id, addresses: [{ hostname: "127.0.0.1", port }] };
  let waited = 0;
  const ask = async (what: string): Promise<MeshResponse> => {
    for (;;) {
      const call = { method: "GET", path: `/ark/v1/blobs/sha256-${sha256}/${what}`, deadlineMs: 120_000 };
      const response = await client.request(to, call);
      if (response.status === 200) return response;
      const text = await new Response(response.body).text();
      if (response.status !== 429) throw new Error(`${what}: ${response.status} ${text}`);
      waited++;
      await new Promise((resolve) => setTimeout(resolve, 1_000 * Number(response.headers.get("retry-after"))));
    }
  };
  const list = decodeChunkList(new Uint8Array(await new Response((await ask("chunks")).body).arrayBuffer()));
  const count = chunkCount(list.size);
  const file = into === null ? null : await open(into, "w");
  const before = rss("VmRSS");
  const cpu = process.cpuUsage();
  const began = performance.now();
  let [next, bytes] = [0, 0];
  await Promise.all(Array.from({ length: lanes }, async () => {
    const buffer = new Uint8Array(CHUNK_BYTES);
    while (performance.now() - began < forMs) {
      const index = next++;
      if (forMs === Infinity && index >= count) break;
      const length = chunkLength(list.size, index % count);
      const got = await (await ask(`data?chunk=${index % count}`)).readInto?.(buffer);
      if (got !== length) throw new Error(`Chunk ${index} has ${got} bytes`);
      bytes += length;
      if (file === null) continue;
      const chunk = buffer.subarray(0, length);
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", chunk));
      if (hash.toHex() !== chunkHash(list, index % count).toHex()) throw new Error(`Chunk ${index} is wrong`);
      await file.write(chunk, 0, length, index * CHUNK_BYTES);
    }
  }));
  const ms = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  await file?.close();
  return { bytes, ms, cpuMs: (user + system) / 1_000, grewBytes: rss("VmHWM") - before, waited };
}

function rss(name: string): number {
  const [, kib = "0"] = new RegExp(`${name}:\\s+(\\d+)`).exec(Deno.readTextFileSync("/proc/self/status")) ?? [];
  return Number(kib) * 1_024;
}
