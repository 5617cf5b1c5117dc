/**
 * What a stream costs that a node only passes on: processor time per token of the node's process, against that of bare
 * pass-throughs in other processes, which hand the same server's bytes on. All carry the same streams, in turn, and each
 * ratio is that of two runs in the same round: a busy machine slows both.
 *
 * There are four pass-throughs. The native one is `Deno.serve` with the body of a `fetch`: no byte of it ever reaches
 * JavaScript, which is more than a node may do, since it counts tokens and writes them in the client's own dialect. The
 * second one is the same program, but JavaScript reads each piece and writes it. The third one has two sockets and no
 * HTTP at all: the floor for a program in Deno that sees what it hands on. The fourth one is the native one again, whose
 * server speaks TLS 1.3, as peers do: a node that asks a peer decrypts each token, and is set against both.
 */
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { NodeProcess } from "../support/node_process.ts";
import { until } from "../inference/local_fixture.ts";
import { heading, result } from "./samples.ts";

const SUPPORT = fileURLToPath(new URL("../support/", import.meta.url));
const ROUNDS = Number(Deno.env.get("ARK_BENCH_ROUNDS") ?? 3);
/** How long it is measured what a node takes at rest, in milliseconds. */
const REST_MS = 10_000;
/** Only loads of so many streams, where that is set. */
const STREAMS = Number(Deno.env.get("ARK_BENCH_STREAMS") ?? 0);
/**
 * Streams at once, and how the server paces each: a token at a time, as engines do. They are as long as answers are, so that
 * what is measured is tokens and not requests.
 */
const LOADS = [
  { streams: 1, tokens: 2_000, everyMs: 1 },
  { streams: 64, tokens: 250, everyMs: 20 },
  { streams: 512, tokens: 80, everyMs: 100 },
] as const;

interface Load {
  streams: number;
  tokens: number;
  everyMs: number;
}

/** One way for the streams, and whose processor time it costs. */
interface Way {
  name: string;
  url: string;
  pid: number;
  /** The node behind it, where that is another one. */
  servedBy?: number;
}

/** What one run of a way came to. */
interface Run {
  /** Microseconds of processor per token. */
  us: number;
  /** The same of the node behind it. */
  servedUs: number;
  /** How long the slowest stream took, as a multiple of the median's time. */
  slowest: number;
  /** Tokens of the stream that got the fewest. */
  fewest: number;
}

/** Measures and prints; fails where a token was lost. */
export async function relayBench(): Promise<void> {
  await using server = await Helper.start(`${SUPPORT}paced_server.ts`);
  await using bare = await Helper.start(`${SUPPORT}bare_relay.ts`, server.url);
  await using certificate = await selfSigned();
  await using secret = await Helper.start(`${SUPPORT}paced_server.ts`, certificate.cert, certificate.key);
  await using bareTls = await Helper.start(`${SUPPORT}bare_relay.ts`, secret.url, certificate.cert);
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
  const native: Way = { name: "pass-through, native", url: bare.url, pid: bare.pid };
  const script: Way = { name: "pass-through, bytes seen by JavaScript", url: seen.url, pid: seen.pid };
  const nativeTls: Way = { name: "pass-through, native, from a server with TLS", url: bareTls.url, pid: bareTls.pid };
  const yardsticks: Way[] = [
    native,
    nativeTls,
    script,
    { name: "from socket to socket, in JavaScript", url: socket.url, pid: socket.pid },
  ];
  const fromPeer: Way = { name: "node, from a peer", url: a.ready.api, pid: a.ready.pid, servedBy: b.ready.pid };
  const nodes: Way[] = [{ name: "node, from an upstream server", url: node.ready.api, pid: node.ready.pid }, fromPeer];
  // Until the compilers have seen enough of what happens with each token; they compile some of it a second time.
  for (let time = 0; time < 2; time++) {
    for (const way of [...yardsticks, ...nodes]) await carry(way, { streams: 64, tokens: 150, everyMs: 20 });
  }
  heading(`8. Relay, processor time per token, paced token by token, medians of ${ROUNDS} rounds in turn`);
  const restUs = (await restingUs(node.ready.pid)).toFixed(1);
  result("node, at rest", `${restUs} us each millisecond, which its tokens bear, too`);
  let lost = 0;
  for (const load of LOADS.filter(({ streams }) => STREAMS === 0 || streams === STREAMS)) {
    const rounds: Map<Way, Run>[] = [];
    for (let round = -1; round < ROUNDS; round++) {
      const runs = new Map<Way, Run>();
      for (const way of [...yardsticks, ...nodes]) {
        const run = await carry(way, load);
        runs.set(way, run);
        if (run.fewest !== load.tokens) lost++;
      }
      if (round >= 0) rounds.push(runs);
    }
    const all = (of: (run: (way: Way) => Run) => number) =>
      median(rounds.map((runs) => of((way) => runs.get(way) ?? { us: NaN, servedUs: NaN, slowest: NaN, fewest: 0 })));
    for (const way of [...yardsticks, ...nodes]) {
      const times = (than: Way) => all((run) => run(way).us / run(than).us).toFixed(2);
      const withTls = way === fromPeer ? `, ${times(nativeTls)} of native with TLS` : "";
      const ratios = way === native ? "" : `, ${times(native)} of native${withTls}, ${times(script)} of JavaScript`;
      const fair = `slowest stream ${all((run) => run(way).slowest).toFixed(2)} of the median's time`;
      const fewest = Math.min(...rounds.map((runs) => runs.get(way)?.fewest ?? 0));
      const whole = fewest === load.tokens ? "" : `, A STREAM GOT ${fewest} OF ${load.tokens} TOKENS`;
      const us = all((run) => run(way).us).toFixed(1);
      result(`${load.streams} streams: ${way.name}`, `${us} us${ratios}; ${fair}${whole}`);
      if (way.servedBy === undefined) continue;
      const served = all((run) => run(way).servedUs).toFixed(1);
      const beside = (than: Way) => all((run) => run(way).servedUs / run(than).us).toFixed(2);
      const ratio = `${beside(native)} of native, ${beside(script)} of JavaScript`;
      result(`${load.streams} streams: the peer that serves it`, `${served} us, ${ratio}`);
    }
  }
  result("goal for the nodes", "at most 2 of the native pass-through, and nobody starves");
  if (lost > 0) throw new Error(`Tokens were lost in ${lost} runs`);
}

/** Carries a load by one way. */
async function carry({ url, pid, servedBy }: Way, { streams, tokens, everyMs }: Load): Promise<Run> {
  const [before, servedBefore] = [cpuUs(pid), servedBy === undefined ? 0 : cpuUs(servedBy)];
  const began = performance.now();
  let carried = 0;
  const ended = await Promise.all(Array.from({ length: streams }, async () => {
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
    let [said, rest] = [0, ""];
    const decoder = new TextDecoder();
    for await (const bytes of response.body ?? []) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.includes('"content":"t')) said++;
    }
    carried += said;
    return { said, ms: performance.now() - began };
  }));
  const times = ended.map(({ ms }) => ms);
  return {
    us: (cpuUs(pid) - before) / carried,
    servedUs: servedBy === undefined ? NaN : (cpuUs(servedBy) - servedBefore) / carried,
    slowest: Math.max(...times) / median(times),
    fewest: Math.min(...ended.map(({ said }) => said)),
  };
}

/** Processor time that a process takes each millisecond while nobody asks it anything, in microseconds. */
async function restingUs(pid: number): Promise<number> {
  const [before, began] = [cpuUs(pid), performance.now()];
  await pause(REST_MS);
  return (cpuUs(pid) - before) / (performance.now() - began);
}

/** Processor time of a process so far, of all its threads, in microseconds. */
function cpuUs(pid: number): number {
  let nanoseconds = 0;
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    try {
      nanoseconds += Number(Deno.readTextFileSync(`/proc/${pid}/task/${name}/schedstat`).split(" ")[0]);
    } catch {
      // A thread that has ended since.
    }
  }
  return nanoseconds / 1_000;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

/** A certificate for 127.0.0.1 and its key, in files; they are gone when it is disposed of. */
async function selfSigned(): Promise<AsyncDisposable & { cert: string; key: string }> {
  const directory = await Deno.makeTempDir({ prefix: "ark-relay-bench-" });
  const [cert, key] = [`${directory}/cert.pem`, `${directory}/key.pem`];
  const names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  // One that says that it is no authority is taken as an anchor for itself.
  const leaf = ["-addext", "basicConstraints=critical,CA:FALSE", "-days", "2", "-nodes"];
  const { success } = await new Deno.Command("openssl", {
    args: ["req", "-x509", "-newkey", "ed25519", "-keyout", key, "-out", cert, ...names, ...leaf],
    stderr: "null",
  }).output();
  if (!success) throw new Error("The benchmark of the relay needs openssl");
  return { cert, key, [Symbol.asyncDispose]: () => Deno.remove(directory, { recursive: true }) };
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
