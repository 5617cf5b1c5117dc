/**
 * What the mesh adds, to the first token and to each: node B asked by its owner is the baseline, node A that asks B the
 * other, in turn. The engine is a fake one that writes a token every few milliseconds, with the time on it.
 *
 * A's way has two durable records that B's own has not: both nodes write down a peer's question before it is answered.
 */
import { fileURLToPath } from "node:url";
import { NodeProcess } from "../support/node_process.ts";
import { until } from "../inference/local_fixture.ts";
import { heading, result, row, Samples } from "./samples.ts";
import { streamedAnswer } from "./streamed_answer.ts";

const ROUNDS = Number(Deno.env.get("ARK_BENCH_ROUNDS") ?? 400);
const WARM_UP = 150;
/** Long enough that the end of an answer, which is recorded, falls into no first token. */
const TOKENS = 24;
const FIXTURES = fileURLToPath(new URL("../fixtures", import.meta.url));
const MAIN = fileURLToPath(new URL("../support/fake_node.ts", import.meta.url));

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

/** Measures and prints. */
export async function meshBench(): Promise<void> {
  const command = [Deno.execPath(), "run", "-A", MAIN];
  const quiet = ["--no-mdns", "--log-level", "warn", "--wireguard", "off"];
  await using b = await NodeProcess.start({ name: "B", command, args: [...quiet, "--models", FIXTURES] });
  await using a = await NodeProcess.start({ name: "A", command, args: [...quiet, "--peer", b.ready.mesh] });
  await b.json("peers", "approve", a.ready.public_key);
  await a.json("peers", "approve", b.ready.public_key);
  await until(async () => (await a.json<{ models: unknown[] }>("models")).models.length > 0);
  const [far, near] = [new Way(a), new Way(b)];
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    for (const way of round % 2 === 0 ? [far, near] : [near, far]) await way.ask(round >= 0);
  }
  heading(`2. Mesh, two nodes on loopback, one kept connection, ${ROUNDS} answers of ${TOKENS} tokens each, in turn`);
  row("first token: node B, asked by its owner", near.firsts);
  row("first token: node A, which asks node B", far.firsts);
  row("a token on its way: from B's engine to its owner", near.tokens);
  row("a token on its way: from B's engine to A's owner", far.tokens);
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
