// deno-lint-ignore-file no-console
/**
 * What three peers that download cost a generation: tokens in a second of the owner's answers with and without them, in
 * turn. The real engine with a model of 300 MB computes on all cores, and so does everything else on this machine: the
 * peers, too, are processes here, which on a network they are not.
 */
import { fileURLToPath } from "node:url";
import type { Identity } from "@ark/node/identity";
import { until } from "../inference/local_fixture.ts";
import { cleanEnvironment, NodeProcess } from "../support/node_process.ts";
import { writeLargeModel } from "./large_model.ts";
import { writeRandomModel } from "./random_model.ts";
import { heading, result } from "./samples.ts";
import { streamedAnswer } from "./streamed_answer.ts";
import type { TransferOrder, TransferOutcome } from "./transfer_client.ts";
import { approvedPeer } from "./transfer_bench.ts";

const TURNS = Number(Deno.env.get("YIELD_TURNS") ?? 12);
const TOKENS = Number(Deno.env.get("YIELD_TOKENS") ?? 120);
const PEERS = 3;
const BYTES = 128 << 20;
const CLIENT = fileURLToPath(new URL("transfer_client.ts", import.meta.url));

/** Measures and prints. */
export async function yieldBench(): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "ark-yield-" });
  try {
    await measure(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function measure(directory: string): Promise<void> {
  await writeLargeModel(`${directory}/large.gguf`);
  const sha256 = await writeRandomModel(`${directory}/random.gguf`, BYTES);
  await using node = await NodeProcess.start({
    name: "B",
    args: [
      ...["--no-mdns", "--wireguard", "off", "--log-level", "warn", "--models", directory],
      ...["--gpu", "off", "--context", "1024", "--slots", "1"],
    ],
  });
  const { models } = await node.json<{ models: { id: string; size: number }[] }>("models");
  const model = models.find(({ size }) => size !== BYTES)?.id ?? "";
  const peers = await Promise.all(Array.from({ length: PEERS }, () => approvedPeer(node)));
  const order = (peer: Identity, forMs: number): TransferOrder => ({
    pem: peer.privateKeyPem(),
    id: node.id,
    port: Number(node.ready.mesh.split(":").at(-1)),
    sha256,
    lanes: 2,
    into: null,
    forMs,
  });
  await until(async () => (await fetchOnce(order(peers[0] ?? fail(), 1))) !== null);
  const ask = async () => {
    const { writingMs, pieces } = await streamedAnswer(node.ready.api, { model, max_tokens: TOKENS, temperature: 1 });
    return (pieces - 1) / writingMs * 1_000;
  };
  await ask();
  heading(`A generation while ${PEERS} peers download, ${TURNS} turns: tokens in a second`);
  const [alone, among, served]: [number[], number[], number[]] = [[], [], []];
  for (let turn = 0; turn < TURNS; turn++) {
    alone.push(await ask());
    // Long enough to have begun before the answer does, and to end after it.
    const stop = new AbortController();
    const began = performance.now();
    const pulls = Promise.all(peers.map((peer) => fetchOnce(order(peer, 1e9), stop.signal)));
    await until(() => Promise.resolve(performance.now() - began > 1_500));
    const before = await bytesServed(node);
    const at = performance.now();
    among.push(await ask());
    served.push((await bytesServed(node) - before) / (performance.now() - at) / 1_000);
    stop.abort();
    await pulls;
  }
  const [without, withThem] = [median(alone), median(among)];
  console.log(`  alone                                          ${without.toFixed(1)} tokens/s`);
  console.log(`  while they download                            ${withThem.toFixed(1)} tokens/s`);
  console.log(`  they got meanwhile                             ${median(served).toFixed(1)} MB/s`);
  const ratios = alone.map((rate, turn) => (among[turn] ?? NaN) / rate);
  console.log(`  of each turn                                   ${ratios.map((ratio) => ratio.toFixed(2)).join(" ")}`);
  result("the generation loses, median of the turns", `${(100 * (1 - median(ratios))).toFixed(1)} %`, "at most 5 %");
}

function fail(): never {
  throw new Error("There is no peer");
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

async function bytesServed(node: NodeProcess): Promise<number> {
  const text = await (await fetch(`${node.ready.api}/metrics`)).text();
  return Number(/^ark_upload_bytes_total (\S+)/m.exec(text)?.[1] ?? 0);
}

/** Downloads in a process of its own until the signal fires; null where that did not work. */
async function fetchOnce(order: TransferOrder, signal?: AbortSignal): Promise<TransferOutcome | null> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", CLIENT, JSON.stringify(order)],
    env: cleanEnvironment(),
    clearEnv: true,
    stdout: "piped",
    stderr: "null",
    ...(signal === undefined ? {} : { signal }),
  });
  const { code, stdout } = await child.output();
  return code === 0 ? JSON.parse(new TextDecoder().decode(stdout)) : null;
}
