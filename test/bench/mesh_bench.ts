/**
 * What the mesh adds, to the first token and to each: node B asked by its owner is the baseline, node A that asks B the
 * other, in turn. The engine is a fake one that writes a token every few milliseconds, with the time on it.
 *
 * A's way has two durable records that B's own has not: both nodes write down a peer's question before it is answered. So
 * what a durable record takes on this disk, and what a signed request takes through the transport with nothing behind it,
 * is measured in the same run: no node that keeps its promises can be faster. With `ARK_BENCH_DATA` set the nodes keep their
 * data in that directory; on a file system in memory (`/dev/shm`) it shows what is left without the disk. With
 * `ARK_BENCH_ASKER_DATA` node A keeps its own there: A's record is on no request's way, but on one machine it takes the very
 * disk that B waits for at that moment, which two machines never do.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { generateIdentity, type NodeId } from "@ark/node/identity";
import { MeshClient } from "@ark/node/transport";
import { nodeCommand, NodeProcess } from "../support/node_process.ts";
import { until } from "../inference/local_fixture.ts";
import { heading, result, row, Samples } from "./samples.ts";
import { streamedAnswer } from "./streamed_answer.ts";

const ROUNDS = Number(Deno.env.get("ARK_BENCH_ROUNDS") ?? 400);
const WARM_UP = 150;
const FLOOR_WARM_UP = 400;
/** Long enough that the end of an answer, which is recorded, falls into no first token. */
const TOKENS = 24;
const FIXTURES = fileURLToPath(new URL("../fixtures", import.meta.url));
const MAIN = fileURLToPath(new URL("../support/fake_node.ts", import.meta.url));
const FLOOR = fileURLToPath(new URL("../support/signed_floor.ts", import.meta.url));
const DATA = Deno.env.get("ARK_BENCH_DATA");
const ASKER_DATA = Deno.env.get("ARK_BENCH_ASKER_DATA") ?? DATA;
/** Blocks of the file that durable records are written to, and bytes of each. */
const BLOCKS = { count: 256, bytes: 4_096 };

/** One way to the answers, and what it took. */
class Way {
  readonly firsts = new Samples();
  readonly tokens = new Samples();
  readonly gaps = new Samples();
  readonly #api: string;

  constructor(node: NodeProcess) {
    this.#api = node.ready.api;
  }

  async ask(counts: boolean): Promise<void> {
    const asked = { model: "arkling", max_tokens: TOKENS, prompt: "#stamp #slow=3" };
    const { firstMs, gapsMs, onTheWayMs } = await streamedAnswer(this.#api, asked);
    if (onTheWayMs.length !== TOKENS) throw new Error(`Of ${TOKENS} tokens ${onTheWayMs.length} came`);
    if (!counts) return;
    this.firsts.add(firstMs);
    for (const ms of onTheWayMs) this.tokens.add(ms);
    for (const ms of gapsMs) this.gaps.add(ms);
  }
}

/** The transport of nodes with nothing behind it, in a process of its own. */
class Floor implements AsyncDisposable {
  readonly firsts = new Samples();
  readonly tokens = new Samples();
  readonly #child: Deno.ChildProcess;
  readonly #client = new MeshClient({ identity: generateIdentity() });
  readonly #to: { id: NodeId; port: number };

  private constructor(child: Deno.ChildProcess, to: { id: NodeId; port: number }) {
    this.#child = child;
    this.#to = to;
  }

  static async start(): Promise<Floor> {
    const args = ["run", "-A", FLOOR, "3"];
    const child = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    reader.releaseLock();
    const floor = new Floor(child, JSON.parse(new TextDecoder().decode(value)));
    // As often as the nodes are asked something, until the compiler has seen enough.
    for (let round = 0; round < FLOOR_WARM_UP; round++) await floor.ask({ pieces: 1, counts: false });
    return floor;
  }

  async ask({ pieces, counts }: { pieces: number; counts: boolean }): Promise<void> {
    const { id, port } = this.#to;
    const body = JSON.stringify({ pieces });
    const began = performance.now();
    const call = { method: "POST", path: "/ark/v1/infer", body, deadlineMs: 10_000 };
    const response = await this.#client.request({ id, addresses: [{ hostname: "127.0.0.1", port }] }, call);
    let count = 0;
    await response.pump?.((bytes) => {
      const now = performance.now();
      for (const stamp of new TextDecoder().decode(bytes).trim().split("\n").map(Number)) {
        if (counts) {
          (count === 0 ? this.firsts : this.tokens).add(now - (count === 0 ? began : stamp - performance.timeOrigin));
        }
        count++;
      }
      return null;
    });
    if (count !== pieces) throw new Error(`Of ${pieces} pieces ${count} came`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
    this.#child.kill();
    await this.#child.stdout.cancel();
    await this.#child.status;
  }
}

/** A file on the disk of the nodes' data, to which records are written durably one by one. */
class Disk implements Disposable {
  readonly records = new Samples();
  readonly #file: Deno.FsFile;
  readonly #block = new Uint8Array(BLOCKS.bytes);
  #count = 0;

  constructor(directory: string) {
    this.#file = Deno.openSync(join(directory, "records"), { read: true, write: true, create: true });
    for (let block = 0; block < BLOCKS.count; block++) this.#file.writeSync(this.#block);
    this.#file.syncSync();
  }

  write(counts: boolean): void {
    const began = performance.now();
    this.#file.seekSync((this.#count++ % BLOCKS.count) * BLOCKS.bytes, Deno.SeekMode.Start);
    this.#file.writeSync(this.#block);
    this.#file.syncDataSync();
    if (counts) this.records.add(performance.now() - began);
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** Measures and prints. */
export async function meshBench(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const [directory, asker] = [await newDirectory(DATA, stack), await newDirectory(ASKER_DATA, stack)];
  await measure(directory, asker);
}

/** A directory that vanishes with the stack. */
async function newDirectory(dir: string | undefined, stack: AsyncDisposableStack): Promise<string> {
  const path = await Deno.makeTempDir({ prefix: "ark-mesh-bench-", ...dir === undefined ? {} : { dir } });
  stack.defer(() => Deno.remove(path, { recursive: true }));
  return path;
}

async function measure(directory: string, asker: string): Promise<void> {
  const command = nodeCommand(MAIN);
  const quiet = ["--no-mdns", "--log-level", "warn", "--wireguard", "off"];
  const [bData, aData] = [join(directory, "b"), join(asker, "a")];
  await using b = await NodeProcess.start({ name: "B", command, data: bData, args: [...quiet, "--models", FIXTURES] });
  await using a = await NodeProcess.start({
    name: "A",
    command,
    data: aData,
    args: [...quiet, "--peer", b.ready.mesh],
  });
  await using floor = await Floor.start();
  using disk = new Disk(directory);
  await b.json("peers", "approve", a.ready.public_key);
  await a.json("peers", "approve", b.ready.public_key);
  await until(async () => (await a.json<{ models: unknown[] }>("models")).models.length > 0);
  const [far, near] = [new Way(a), new Way(b)];
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    for (const way of round % 2 === 0 ? [far, near] : [near, far]) await way.ask(round >= 0);
    // Enough for a median, and the answers of nodes are what this is about.
    if (round % 4 === 0) await floor.ask({ pieces: TOKENS, counts: round >= 0 });
    disk.write(round >= 0);
  }
  heading(`2. Mesh, two nodes on loopback, one kept connection, ${ROUNDS} answers of ${TOKENS} tokens each, in turn`);
  row("first token: node B, asked by its owner", near.firsts);
  row("first token: node A, which asks node B", far.firsts);
  row("a token on its way: from B's engine to its owner", near.tokens);
  row("a token on its way: from B's engine to A's owner", far.tokens);
  row("the transport alone: a signed request", floor.firsts);
  row("the transport alone: a token on its way", floor.tokens);
  row(`the disk alone: a durable record in ${DATA ?? "the usual directory"}`, disk.records);
  row("between two tokens: B's owner", near.gaps);
  row("between two tokens: A's owner", far.gaps);
  added("first token", { near: near.firsts, far: far.firsts }, [1, 5]);
  added("each token on its way", { near: near.tokens, far: far.tokens }, [0.1, 5]);
  added("between two tokens", { near: near.gaps, far: far.gaps }, [0.1, 5]);
}

function added(what: string, { near, far }: { near: Samples; far: Samples }, [median, p99]: [number, number]): void {
  result(`the mesh adds: ${what}, median`, `${(far.median - near.median).toFixed(3)} ms`, `at most ${median} ms`);
  result(`the mesh adds: ${what}, p99`, `${(far.p99 - near.p99).toFixed(3)} ms`, `at most ${p99} ms`);
}
