// deno-lint-ignore-file no-console
/**
 * What ten greedy peers cost the owner: his time to the first token alone, and while they ask without a pause, in turns of
 * a few answers, so that a busy machine slows both. First with a fake engine that keeps the times of a real one: a tenth
 * of a second until the owner's first token, a hundredth for each of a peer. Then with the real engine and a model of
 * 300 MB with random weights, whose peers ask with prompts of a thousand tokens; `OWNER_MODEL` names another one,
 * and with `OWNER_REAL` there is only that. `OWNER_TURNS` and `OWNER_SLOTS` make it shorter.
 */
import { until } from "../inference/local_fixture.ts";
import { StreamingNode } from "../support/streaming_node.ts";
import { NodeProcess } from "../support/node_process.ts";
import { question } from "../mesh/mesh_peer.ts";
import type { GreedyOrder } from "./greedy_peers.ts";
import { writeLargeModel } from "./large_model.ts";
import { Round } from "./machine.ts";
import { heading, result, row, Samples } from "./samples.ts";
import { streamedAnswer } from "./streamed_answer.ts";

/** With the fake engine and with the real one, which takes longer. */
const TURNS = { fake: turnsOr(12), real: turnsOr(6) };
/** Models' slots with the real engine. */
const SLOTS = (Deno.env.get("OWNER_SLOTS") ?? "1,4").split(",").map(Number);
/** From fewer turns no ratio is told; so many times as many are tried as are wanted, where some say nothing. */
const [LEAST_TURNS, TRIES] = [3, 2];
const ANSWERS = 5;
const PEERS = 10;
const OWN = "#slow=100";
const THEIRS = "#slow=10";
/** About a thousand tokens. */
const LONG = "The server is ready, and the client waits for an answer of the node. ".repeat(45);
const GOAL = "at most 1.10";

/** Measures and prints. */
export async function ownerBench(): Promise<void> {
  if (!Deno.env.has("OWNER_REAL")) await withFakeEngine();
  await withRealEngine();
}

async function withFakeEngine(): Promise<void> {
  await using node = await StreamingNode.start();
  const [own = "", theirs = ""] = await node.models();
  await using peers = await GreedyPeers.start(node.node, (path, body) => node.call(path, body));
  const ask = askerOf(node.node, { model: own, messages: [{ role: "user", content: OWN }] });
  heading(
    `5. The owner among ${PEERS} peers that ask without a pause, ${
      TURNS.fake * ANSWERS
    } answers, time to the first token`,
  );
  await compare("the same model", {
    ask,
    peers,
    turns: TURNS.fake,
    question: question(own, THEIRS, { max_tokens: 200 }),
  });
  await compare("another model", {
    ask,
    peers,
    turns: TURNS.fake,
    question: question(theirs, THEIRS, { max_tokens: 200 }),
  });
}

async function withRealEngine(): Promise<void> {
  const data = await Deno.makeTempDir({ prefix: "ark-owner-" });
  const models = await Deno.makeTempDir({ prefix: "ark-models-" });
  try {
    const file = Deno.env.get("OWNER_MODEL");
    if (file === undefined) await writeLargeModel(`${models}/large.gguf`);
    else await Deno.copyFile(file, `${models}/large.gguf`);
    for (const slots of SLOTS) {
      await using node = await NodeProcess.start({
        name: "B",
        data: `${data}/${slots}`,
        args: [
          ...["--no-mdns", "--log-level", "warn", "--models", models, "--gpu", "off"],
          ...["--context", "2048", "--slots", `${slots}`],
        ],
      });
      const token = (await Deno.readTextFile(`${data}/${slots}/admin.token`)).trim();
      const call = (path: string, body?: unknown) =>
        fetch(node.ready.api + path, {
          headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
          ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
        });
      let id = "";
      await until(async () => {
        ({ models: [{ id } = { id: "" }] } = await (await call("/models")).json());
        return id !== "";
      });
      await using peers = await GreedyPeers.start(node, call);
      let turn = 0;
      const ask = askerOf(node, { model: id }, () => [{ role: "user", content: `${turn++} ${LONG.slice(0, 280)}` }]);
      heading(`5. The same with the real engine, ${slots} slot(s)`);
      await compare("the same model", {
        ask,
        peers,
        turns: TURNS.real,
        question: question(id, LONG, { max_tokens: 100 }),
      });
    }
  } finally {
    for (const directory of [data, models]) await Deno.remove(directory, { recursive: true });
  }
}

function askerOf(node: NodeProcess, body: Record<string, unknown>, messages?: () => unknown[]): () => Promise<number> {
  return async () => {
    const fresh = messages === undefined ? {} : { messages: messages() };
    return (await streamedAnswer(node.ready.api, { ...body, ...fresh, max_tokens: 1, temperature: 0 })).firstMs;
  };
}

/** Measures in turns with and without the peers, and prints. */
async function compare(
  name: string,
  { ask, peers, turns, question }: {
    ask: () => Promise<number>;
    peers: GreedyPeers;
    turns: number;
    question: Record<string, unknown>;
  },
): Promise<void> {
  const [alone, among] = [new Samples(), new Samples()];
  const measure = async () => {
    await ask();
    const times: number[] = [];
    for (let answer = 0; answer < ANSWERS; answer++) times.push(await ask());
    return times;
  };
  await ask();
  let [counted, spoilt] = [0, 0];
  while (counted < turns && counted + spoilt < turns * TRIES) {
    const watch = new Round();
    const before = await measure();
    peers.go(question);
    // They are at it once their first tokens are there.
    await new Promise((resolve) => setTimeout(resolve, 500));
    const times = await measure();
    await peers.stop();
    if (watch.spoilt) {
      spoilt++;
      continue;
    }
    counted++;
    for (const ms of before) alone.add(ms);
    for (const ms of times) among.add(ms);
  }
  if (spoilt > 0) console.log(`  ${spoilt} turns left out for steal`);
  if (counted < Math.min(LEAST_TURNS, turns)) return console.log(`  ${name}: nothing can be told of ${counted} turns`);
  row("alone", alone);
  row(`while they ask ${name}`, among);
  result("median among them / alone", (among.median / alone.median).toFixed(2));
  result("p95 among them / alone", (among.at(0.95) / alone.at(0.95)).toFixed(2), GOAL);
}

function turnsOr(usual: number): number {
  return Number(Deno.env.get("OWNER_TURNS") ?? usual);
}

/** Peers that are approved for everything, and ask when they are told to. */
class GreedyPeers implements AsyncDisposable {
  readonly #thread: Worker;

  private constructor(thread: Worker) {
    this.#thread = thread;
  }

  static async start(
    node: NodeProcess,
    call: (path: string, body?: unknown) => Promise<Response>,
  ): Promise<GreedyPeers> {
    const thread = new Worker(new URL("./greedy_peers.ts", import.meta.url), { type: "module" });
    const [hostname = "", port] = node.ready.mesh.split(":");
    const greedy = new GreedyPeers(thread);
    const keys = await greedy.#told({ id: node.id, mesh: { hostname, port: Number(port) }, peers: PEERS });
    for (const public_key of keys as string[]) {
      const permissions = { can_request_inference: true, models_shared: ["*"], max_concurrent_requests: 4 };
      const response = await call("/peers/approve", { public_key, permissions });
      if (!response.ok) throw new Error(`Refused: ${await response.text()}`);
      await response.body?.cancel();
    }
    return greedy;
  }

  go(go: Record<string, unknown>): void {
    this.#thread.postMessage({ go } satisfies GreedyOrder);
  }

  async stop(): Promise<void> {
    await this.#told({ stop: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#thread.terminate();
    return Promise.resolve();
  }

  #told(order: GreedyOrder): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#thread.onmessage = ({ data }) => resolve(data);
    this.#thread.onerror = ({ message }) => reject(new Error(message));
    this.#thread.postMessage(order);
    return promise;
  }
}
