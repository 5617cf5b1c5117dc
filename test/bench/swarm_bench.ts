// deno-lint-ignore-file no-console
/**
 * Sources of limited speed that give one file together: how much of the sum of their limits arrives. Every source is a
 * process of its own on the loopback, with the mesh's TLS and signatures; the file is checked chunk by chunk and as a whole, and
 * put into its place.
 */
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { generateIdentity } from "@ark/node/identity";
import { PartBlob, type SwarmPeers } from "@ark/node/models";
import { CHUNK_BYTES } from "@ark/node/protocol";
import { MeshClient } from "@ark/node/transport";
import { fetchBlob } from "../../src/models/swarm/fetch_blob.ts";
import { PeerSource } from "../../src/models/swarm/peer_source.ts";
import { chunkListOf, modelFile } from "../mesh/pull/file_peer.ts";

const PROGRAM = fileURLToPath(new URL("../mesh/pull/serve_process.ts", import.meta.url));
/** For how long each round lasts at the full sum, in seconds. */
const SECONDS = Number(Deno.env.get("ARK_BENCH_SECONDS") ?? 6);
const ROUNDS: { limits: number[]; least: number }[] = [
  { limits: [30], least: 97 },
  { limits: [30, 30], least: 95 },
  { limits: [30, 30, 30, 30], least: 92 },
  { limits: [80, 40, 20, 5], least: 92 },
];

/** `deno task bench swarm`; ARK_BENCH_SCALE scales all limits, for machines that are too slow for the sum of them. */
export async function swarmBench(): Promise<void> {
  const scale = Number(Deno.env.get("ARK_BENCH_SCALE") ?? 1);
  console.log(`\nSources of limited speed, of which each chunk is checked and written (limits × ${scale})`);
  const directory = await Deno.makeTempDir({ prefix: "ark-bench-" });
  try {
    for (const { limits, least } of ROUNDS) {
      const rates = limits.map((limit) => limit * scale * 1e6);
      const { share, duplicates, mib } = await round(rates, directory);
      const met = share * 100 >= least ? "met" : "MISSED";
      console.log(
        `  ${limits.join(" + ")} MB/s: ${(share * 100).toFixed(1)} % of the sum (at least ${least}: ${met}), ` +
          `${(duplicates * 100).toFixed(2)} % twice, memory + ${mib.toFixed(0)} MiB`,
      );
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function round(
  rates: number[],
  directory: string,
): Promise<{ share: number; duplicates: number; mib: number }> {
  const sum = rates.reduce((a, b) => a + b, 0);
  const size = Math.ceil(sum * SECONDS / CHUNK_BYTES) * CHUNK_BYTES;
  const bytes = modelFile(size);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const list = chunkListOf(bytes);
  await using stack = new AsyncDisposableStack();
  const client = stack.use(new MeshClient({ identity: generateIdentity() }));
  const sources: PeerSource[] = [];
  for (const [index, rate] of rates.entries()) {
    const { id, port, stop } = await serve(`${directory}/${index}.key`, { size, rate });
    stack.defer(stop);
    const peer = { id, name: `${rate / 1e6} MB/s` };
    const peers: SwarmPeers = {
      list: () => [peer],
      request: (to, call) =>
        client.request({ id: to, addresses: [{ hostname: "127.0.0.1", port }] }, { method: "GET", ...call }),
      offended: () => {},
    };
    sources.push(new PeerSource(peers, { peer, sha256, size: bytes.length }));
  }
  const signal = new AbortController().signal;
  const part = stack.use(await PartBlob.open(`${directory}/file.part`, { sha256, size: bytes.length, list, signal }));
  const before = Deno.memoryUsage().rss;
  let peak = before;
  const watch = setInterval(() => peak = Math.max(peak, Deno.memoryUsage().rss), 50);
  const began = performance.now();
  const report = await fetchBlob(part, { sources, signal });
  const ms = performance.now() - began;
  clearInterval(watch);
  await part.finish(`${directory}/file`);
  return {
    share: bytes.length / ms * 1_000 / sum,
    duplicates: report.wasted / bytes.length,
    mib: (peak - before) / 2 ** 20,
  };
}

async function serve(
  key: string,
  { size, rate }: { size: number; rate: number },
): Promise<{ id: string; port: number; stop(): Promise<void> }> {
  const folder = `${key}.d`;
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  const args = ["run", "-A", "--quiet", PROGRAM, `${folder}/node.key`, String(size), String(rate), "0"];
  const child = new Deno.Command(Deno.execPath(), { args, stdin: "null", stdout: "piped" }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await reader.read();
  await reader.cancel();
  const { id, port } = JSON.parse(value ?? "{}") as { id: string; port: number };
  return {
    id,
    port,
    async stop() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}
