/**
 * What a stream costs that a node only passes on: processor time per token of the node's process, against that of a bare
 * pass-through in another process, which hands the same server's bytes on. All carry the same streams, in turn.
 *
 * There are three pass-throughs. The first one is `Deno.serve` with the body of a `fetch`: no byte of it ever reaches
 * JavaScript. The second one is the same program, but JavaScript reads each piece and writes it. The third one has two
 * sockets and no HTTP at all: the floor for a program in Deno that sees what it hands on.
 */
import { fileURLToPath } from "node:url";
import { NodeProcess } from "../support/node_process.ts";
import { until } from "../inference/local_fixture.ts";
import { heading, result } from "./samples.ts";

const SUPPORT = fileURLToPath(new URL("../support/", import.meta.url));
const ROUNDS = Number(Deno.env.get("ARK_BENCH_ROUNDS") ?? 3);
/** Streams at once, and how the server paces each: a token at a time, as engines do. */
const LOADS = [
  { streams: 1, tokens: 1_500, everyMs: 1 },
  { streams: 64, tokens: 100, everyMs: 20 },
  { streams: 512, tokens: 25, everyMs: 150 },
] as const;

/** So many ways are no nodes. */
const OTHERS = 3;

interface Load {
  streams: number;
  tokens: number;
  everyMs: number;
}

/** Measures and prints. */
export async function relayBench(): Promise<void> {
  await using server = await Helper.start(`${SUPPORT}paced_server.ts`);
  await using bare = await Helper.start(`${SUPPORT}bare_relay.ts`, server.url);
  await using seen = await Helper.start(`${SUPPORT}seen_relay.ts`, server.url);
  await using socket = await Helper.start(`${SUPPORT}socket_relay.ts`, server.url);
  const quiet = ["--no-mdns", "--log-level", "warn", "--wireguard", "off"];
  await using node = await NodeProcess.start({ name: "N", args: [...quiet, "--upstream", `s=${server.url}`] });
  const shared = [...quiet, "--upstream", `s=${server.url}`, "--share-upstreams"];
  await using b = await NodeProcess.start({ name: "B", args: shared });
  await using a = await NodeProcess.start({ name: "A", args: [...quiet, "--peer", b.ready.mesh] });
  await b.json("peers", "approve", a.ready.public_key, "--max", "512");
  await a.json("peers", "approve", b.ready.public_key);
  for (const one of [node, a]) {
    await until(async () => (await one.json<{ models: unknown[] }>("models")).models.length > 0);
  }
  const ways: [string, string, number][] = [
    ["bare pass-through", bare.url, bare.pid],
    ["pass-through whose bytes JavaScript sees", seen.url, seen.pid],
    ["from socket to socket, in JavaScript", socket.url, socket.pid],
    ["node, from an upstream server", node.ready.api, node.ready.pid],
    ["node, from a peer", a.ready.api, a.ready.pid],
  ];
  heading("8. Relay, processor time per token of the process that passes a stream on, paced token by token");
  for (const load of LOADS) {
    const costs = ways.map((): number[] => []);
    const slowest = ways.map((): number[] => []);
    const failed = ways.map(() => 0);
    for (let round = -1; round < ROUNDS; round++) {
      for (const [index, [, url, pid]] of ways.entries()) {
        const { us, spread, failures } = await carry(url, pid, load);
        failed[index] = (failed[index] ?? 0) + failures;
        if (round < 0) continue;
        costs[index]?.push(us);
        slowest[index]?.push(spread);
      }
    }
    const [baseline = NaN, inScript = NaN] = costs.map(median);
    for (const [index, [name]] of ways.entries()) {
      const us = median(costs[index] ?? []);
      const beside = index < OTHERS ? "" : ` (${(us / inScript).toFixed(2)} of one in JavaScript)`;
      const ratio = index === 0 ? "" : `, ratio ${(us / baseline).toFixed(2)}${beside}`;
      const lost = failed[index] === 0 ? "" : `; ${failed[index]} STREAMS FAILED in ${ROUNDS + 1} rounds`;
      const fair = `slowest stream ${median(slowest[index] ?? []).toFixed(2)} of the median's time${lost}`;
      result(
        `${load.streams} streams: ${name}`,
        `${us.toFixed(1)} us${ratio}; ${fair}`,
        index < OTHERS ? undefined : "ratio at most 2",
      );
    }
  }
}

/** Carries a load, and tells microseconds of processor per token, and how much later the slowest stream ended. */
async function carry(
  url: string,
  pid: number,
  { streams, tokens, everyMs }: Load,
): Promise<{ us: number; spread: number; failures: number }> {
  const before = cpuMs(pid);
  const began = performance.now();
  let [carried, failures] = [0, 0];
  const times = await Promise.all(Array.from({ length: streams }, async () => {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "paced",
        stream: true,
        max_tokens: tokens,
        messages: [{ role: "user", content: `every ${everyMs}` }],
      }),
    });
    let said = 0;
    const decoder = new TextDecoder();
    for await (const bytes of response.body ?? []) said += decoder.decode(bytes).split('"content":"t').length - 1;
    carried += said;
    if (said !== tokens) failures++;
    return performance.now() - began;
  }));
  const us = (cpuMs(pid) - before) * 1_000 / carried;
  return { us, spread: Math.max(...times) / median(times), failures };
}

/** Processor time of a process so far, in milliseconds, in steps of 10. */
function cpuMs(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

/** A small program beside the nodes, which prints its address. */
class Helper implements AsyncDisposable {
  readonly url: string;
  readonly #child: Deno.ChildProcess;

  private constructor(url: string, child: Deno.ChildProcess) {
    this.url = url;
    this.#child = child;
  }

  static async start(path: string, ...args: string[]): Promise<Helper> {
    const child = new Deno.Command(Deno.execPath(), { args: ["run", "-A", path, ...args], stdout: "piped" }).spawn();
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    reader.releaseLock();
    return new Helper(new TextDecoder().decode(value).trim(), child);
  }

  get pid(): number {
    return this.#child.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.stdout.cancel();
    await this.#child.status;
  }
}
