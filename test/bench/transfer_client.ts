// deno-lint-ignore-file no-console
/**
 * A peer that fetches all chunks of a file, in a process of its own: what it takes is not the server's. Its arguments are a
 * JSON; the answer is one.
 */
import process from "node:process";
import { Identity } from "@ark/node/identity";
import { PartBlob, type SwarmPeers } from "@ark/node/models";
import { CHUNK_BYTES, chunkCount, chunkHash, chunkLength, decodeChunkList } from "@ark/node/protocol";
import { MeshClient, type MeshResponse } from "@ark/node/transport";
import { ChunkThreads } from "../../src/models/blobs/chunk_threads.ts";
import { fetchBlob } from "../../src/models/swarm/fetch_blob.ts";
import { PeerSource } from "../../src/models/swarm/peer_source.ts";

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
  /** Where it is written, each chunk when it is checked, as a node does it; null for nowhere, and without a check. */
  into: string | null;
  /** Whether a node's own pull fetches it: it chooses how many requests there are at once, and checks the whole file at last. */
  pull?: boolean;
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
  /** How long the check of the whole file took after the last chunk, in milliseconds. */
  finishMs?: number;
}

/** Chunks that are being fetched or checked at once: as many as in a pull from one source. */
const ROOMS = 7;

if (import.meta.main) console.log(JSON.stringify(await transfer(JSON.parse(Deno.args[0] ?? ""))));

async function transfer(order: TransferOrder): Promise<TransferOutcome> {
  const { pem, id, port, sha256, lanes, into, forMs = Infinity } = order;
  await using client = new MeshClient({ identity: new Identity(pem) });
  const to = { id, addresses: [{ hostname: "127.0.0.1", port }] };
  let waited = 0;
  const ask = async (what: string): Promise<MeshResponse> => {
    for (;;) {
      const call = { method: "GET", path: `/ark/v1/blobs/sha256-${sha256}/${what}`, deadlineMs: 120_000 };
      const response = await client.request(to, call).catch((error: unknown) => {
        // A node lets in only so many connections of one address at once on which nobody has proved himself yet.
        if (error instanceof Error && /broke off in the handshake/.test(error.message)) return null;
        throw error;
      });
      if (response === null) {
        waited++;
        await new Promise((resolve) => setTimeout(resolve, 100));
        continue;
      }
      if (response.status === 200) return response;
      const text = await new Response(response.body).text();
      if (response.status !== 429) throw new Error(`${what}: ${response.status} ${text}`);
      waited++;
      await new Promise((resolve) => setTimeout(resolve, 1_000 * Number(response.headers.get("retry-after"))));
    }
  };
  const list = decodeChunkList(new Uint8Array(await new Response((await ask("chunks")).body).arrayBuffer()));
  const count = chunkCount(list.size);
  const before = rss("VmRSS");
  const cpu = process.cpuUsage();
  const began = performance.now();
  const outcome = (bytes: number, ms: number) => {
    const { user, system } = process.cpuUsage(cpu);
    return { bytes, ms, cpuMs: (user + system) / 1_000, grewBytes: rss("VmHWM") - before, waited };
  };
  if (order.pull && into !== null) {
    const signal = new AbortController().signal;
    const peers: SwarmPeers = {
      list: () => [{ id, name: "B" }],
      request: (_, call) => client.request(to, { method: "GET", ...call }),
      offended: () => {},
    };
    await using part = await PartBlob.open(`${into}.part`, { sha256, size: list.size, list, signal });
    const source = new PeerSource(peers, { peer: { id, name: "B" }, sha256, size: list.size });
    await fetchBlob(part, { sources: [source], signal });
    const ms = performance.now() - began;
    await part.finish(into);
    return { ...outcome(list.size, ms), finishMs: performance.now() - began - ms };
  }
  if (into !== null) await Deno.writeFile(into, new Uint8Array(0));
  using threads = into === null ? null : new ChunkThreads(into);
  const rooms = Array.from({ length: threads === null ? lanes : ROOMS }, () => room());
  const work = new Set<Promise<void>>();
  let [next, bytes] = [0, 0];
  await Promise.all(Array.from({ length: lanes }, async () => {
    while (performance.now() - began < forMs) {
      while (rooms.length === 0) await Promise.race(work);
      const index = next++;
      if (forMs === Infinity && index >= count) break;
      const buffer = rooms.pop() ?? room();
      const length = chunkLength(list.size, index % count);
      const got = await (await ask(`data?chunk=${index % count}`)).readInto?.(buffer);
      if (got !== length) throw new Error(`Chunk ${index} has ${got} bytes`);
      bytes += length;
      if (threads === null) {
        rooms.push(buffer);
        continue;
      }
      // As in a pull: the next chunk comes while this one is checked and written.
      const checked = threads.put(buffer.subarray(0, length), {
        hash: chunkHash(list, index % count),
        at: index * CHUNK_BYTES,
      }).then((right) => {
        if (!right) throw new Error(`Chunk ${index} is wrong`);
        rooms.push(buffer);
        work.delete(checked);
      });
      work.add(checked);
    }
  }));
  await Promise.all(work);
  return outcome(bytes, performance.now() - began);
}

/** Room for a chunk, in memory that threads share. */
function room(): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(CHUNK_BYTES));
}

function rss(name: string): number {
  const [, kib = "0"] = new RegExp(`${name}:\\s+(\\d+)`).exec(Deno.readTextFileSync("/proc/self/status")) ?? [];
  return Number(kib) * 1_024;
}
