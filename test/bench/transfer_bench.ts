// deno-lint-ignore-file no-console
/**
 * What a peer downloads a model with: a gibibyte on loopback, in turn with curl that gets the same bytes from the same
 * listener. The node, the peer and curl are processes of their own. `TRANSFER_BYTES` is another size, and `TRANSFER_DIR` another
 * place for all files: on a slow disk both measure that.
 */
import { fileURLToPath } from "node:url";
import { formatPublicKey, generateIdentity, type Identity } from "@ark/node/identity";
import { CHUNK_BYTES } from "@ark/node/protocol";
import { until } from "../inference/local_fixture.ts";
import { cleanEnvironment, nodeCommand, NodeProcess } from "../support/node_process.ts";
import { writeRandomModel } from "./random_model.ts";
import { heading, result, row, Samples } from "./samples.ts";
import { signedCurl } from "./signed_curl.ts";
import type { TransferOrder, TransferOutcome } from "./transfer_client.ts";

const ROUNDS = 3;
const BYTES = Number(Deno.env.get("TRANSFER_BYTES") ?? 1 << 30);
const FAKE_NODE = fileURLToPath(new URL("../support/fake_node.ts", import.meta.url));
const CLIENT = fileURLToPath(new URL("transfer_client.ts", import.meta.url));

/** Measures and prints. */
export async function transferBench(): Promise<void> {
  const place = Deno.env.get("TRANSFER_DIR");
  const directory = await Deno.makeTempDir({ prefix: "ark-transfer-", ...(place === undefined ? {} : { dir: place }) });
  try {
    await measure(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function measure(directory: string): Promise<void> {
  const sha256 = await writeRandomModel(`${directory}/random.gguf`, BYTES);
  const command = nodeCommand(FAKE_NODE);
  const args = ["--no-mdns", "--wireguard", "off", "--log-level", "warn", "--models", directory];
  await using node = await NodeProcess.start({ name: "B", command, args });
  const identity = await approvedPeer(node);
  const port = Number(node.ready.mesh.split(":").at(-1));
  const base = { pem: identity.privateKeyPem(), id: node.id, port, sha256 };
  // It has computed the digest and the list of chunks before anything is measured.
  await until(async () => (await fetchBy({ ...base, lanes: 1, into: null, forMs: 1 }).catch(() => null)) !== null);

  heading(`A model of ${(BYTES / 2 ** 20).toFixed(0)} MiB on loopback, in turn, ${ROUNDS} rounds: the best, and all`);
  const paths = Array.from(
    { length: Math.ceil(BYTES / CHUNK_BYTES) },
    (_, index) => `/ark/v1/blobs/sha256-${sha256}/data?chunk=${index}`,
  );
  const before = memoryOf(node.ready.pid, "VmRSS");
  // What it had at most before, to compute the digest, does not count.
  await Deno.writeTextFile(`/proc/${node.ready.pid}/clear_refs`, "5");
  const rates = new Map<string, number[]>();
  const note = (name: string, rate: number) => void rates.set(name, [...rates.get(name) ?? [], rate]);
  const lag = new Samples();
  let [grew, cpuMs] = [0, Infinity];
  for (let round = 0; round < ROUNDS; round++) {
    const curl = await signedCurl({ identity, id: node.id, port }, { paths, into: `${directory}/curl` });
    note("curl, one connection", curl.bytes / curl.ms / 1_000);
    await Deno.remove(`${directory}/curl`);
    for (const lanes of [1, 2, 4]) {
      const raw = await fetchBy({ ...base, lanes, into: null });
      note(`a peer, bytes alone, ${lanes} at once`, raw.bytes / raw.ms / 1_000);
    }
    using _probe = probing(node.ready.api, lag);
    const whole = await fetchBy({ ...base, lanes: 4, into: `${directory}/pulled` });
    note("a peer, checked and written, 4 at once", whole.bytes / whole.ms / 1_000);
    await Deno.remove(`${directory}/pulled`);
    const pulled = await fetchBy({ ...base, lanes: 0, into: `${directory}/pulled`, pull: true });
    note("a node's own pull, all chunks", pulled.bytes / pulled.ms / 1_000);
    note("the same, and the whole file's digest", pulled.bytes / (pulled.ms + (pulled.finishMs ?? NaN)) / 1_000);
    await Deno.remove(`${directory}/pulled`);
    grew = Math.max(grew, whole.grewBytes, pulled.grewBytes);
    cpuMs = Math.min(cpuMs, whole.cpuMs / (whole.bytes / 1e9));
  }
  for (const [name, all] of rates) {
    console.log(
      `  ${name.padEnd(46)} ${Math.max(...all).toFixed(0)} MB/s   (${all.map((rate) => rate.toFixed(0)).join(", ")})`,
    );
  }
  const three = await Promise.all(
    (await Promise.all([approvedPeer(node), approvedPeer(node), approvedPeer(node)])).map((peer) =>
      fetchBy({ ...base, pem: peer.privateKeyPem(), lanes: 2, into: null })
    ),
  );
  const together = three.reduce((sum, { bytes, ms }) => sum + bytes / ms / 1_000, 0);
  console.log(`  three peers at once, bytes alone               ${together.toFixed(0)} MB/s`);
  const best = (name: string) => Math.max(...rates.get(name) ?? [0]);
  const [curl, whole] = [best("curl, one connection"), best("a peer, checked and written, 4 at once")];
  result("a peer, checked and written", `${whole.toFixed(0)} MB/s`, "at least 300 MB/s");
  result("of what curl reaches", `${(100 * whole / curl).toFixed(0)} %`, "at least 80 %");
  result("memory of the serving node grew by", mib(memoryOf(node.ready.pid, "VmHWM") - before), "at most 100 MiB");
  result("memory of the peer grew by", mib(grew), "at most 100 MiB");
  result("CPU of the peer", `${cpuMs.toFixed(0)} ms a gigabyte`);
  row("the owner's API meanwhile", lag);
  result("p99 of the owner's API meanwhile", `${lag.p99.toFixed(1)} ms`, "at most 10 ms");
}

/** A new key that may download everything from a node. */
export async function approvedPeer(node: NodeProcess): Promise<Identity> {
  const identity = generateIdentity();
  await node.json("peers", "approve", formatPublicKey(identity.publicKey), "--pull");
  return identity;
}

/** Fetches in a process of its own. */
export async function fetchBy(order: TransferOrder): Promise<TransferOutcome> {
  const [program = "", ...args] = nodeCommand(CLIENT);
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args, JSON.stringify(order)],
    env: cleanEnvironment(),
    clearEnv: true,
  }).output();
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Asks a node's API something cheap every ten milliseconds, and notes how long each answer took. */
function probing(api: string, lag: Samples): Disposable {
  let over = false;
  const probe = async () => {
    while (!over) {
      const began = performance.now();
      await (await fetch(`${api}/api/version`)).body?.cancel();
      lag.add(performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  probe().catch(() => {});
  return { [Symbol.dispose]: () => void (over = true) };
}

function memoryOf(pid: number, name: "VmRSS" | "VmHWM"): number {
  const [, kib = "0"] = new RegExp(`${name}:\\s+(\\d+)`).exec(Deno.readTextFileSync(`/proc/${pid}/status`)) ?? [];
  return Number(kib) * 1_024;
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}
