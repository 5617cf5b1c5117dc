/**
 * Two nodes on this machine, one question: `deno task demo`.
 *
 * Both are real nodes with data directories and ports of their own. They find each other by mDNS, each owner approves the
 * other, and node A is asked for a model that only node B has. Nothing is left running, however it ends.
 */
import { fileURLToPath } from "node:url";
import { NodeProcess } from "../support/node_process.ts";

const FIXTURES = fileURLToPath(new URL("../fixtures", import.meta.url));
/** The demo's model continues text; the seed is one of those that read well. */
const QUESTION = "The server is a";
const ROUNDS = 15;

interface Entry {
  seq: number;
  at: string;
  kind: string;
  direction: string;
  peer: string;
  model: string;
  prompt_tokens: number | null;
  completion_tokens: number | null;
  ms: number | null;
  outcome: string | null;
}

interface Answer {
  node: string;
  route: string;
  tokens: number;
  firstMs: number;
  tokensPerSecond: number;
}

const encoder = new TextEncoder();
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => stop.abort());

/** Shows one line. */
function say(line = ""): void {
  Deno.stdout.writeSync(encoder.encode(line + "\n"));
}

/** Waits until a question has an answer. */
async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + 90_000;
  while (performance.now() < deadline) {
    stop.signal.throwIfAborted();
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what} did not happen within 90 s`);
}

/** Asks a node's API, and shows the answer as it comes. */
async function ask(
  node: NodeProcess,
  options: { model: string; maxTokens: number; show: (text: string) => void },
): Promise<Answer> {
  const { model, maxTokens, show } = options;
  const began = performance.now();
  const response = await fetch(`${node.ready.api}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model,
      messages: [{ role: "user", content: QUESTION }],
      stream: true,
      max_tokens: maxTokens,
      temperature: 0.6,
      repeat_penalty: 1.2,
      seed: 2,
    }),
    signal: stop.signal,
  });
  if (!response.ok || response.body === null) throw new Error(`The node refused: ${await response.text()}`);
  let [tokens, firstAt, lastAt, rest] = [0, 0, 0, ""];
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (!line.startsWith("data: {")) continue;
      const { choices, error } = JSON.parse(line.slice(6));
      if (error !== undefined) throw new Error(error.message);
      const piece: string = choices[0]?.delta.content ?? "";
      if (piece === "") continue;
      lastAt = performance.now();
      firstAt ||= lastAt;
      tokens++;
      show(piece);
    }
  }
  return {
    node: decodeURIComponent(response.headers.get("x-ark-node") ?? ""),
    route: response.headers.get("x-ark-route") ?? "",
    tokens,
    firstMs: firstAt - began,
    tokensPerSecond: tokens > 1 ? (tokens - 1) / ((lastAt - firstAt) / 1_000) : 0,
  };
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

async function demo(): Promise<void> {
  say("Starting two nodes, each with its own data directory …");
  const mesh = { meshListen: "0.0.0.0:0" };
  await using a = await NodeProcess.start({ name: "node A", ...mesh });
  await using b = await NodeProcess.start({ name: "node B", args: ["--models", FIXTURES], ...mesh });
  for (const node of [a, b]) {
    const { name, node_id, api, ready_ms } = node.ready;
    say(`  ${name}  ${node_id.slice(0, 17)}…  ${api}  ready after ${ready_ms} ms`);
  }

  say("\nWaiting until they find each other by mDNS …");
  const sees = (node: NodeProcess, other: NodeProcess) =>
    until(`Finding ${other.ready.name} by mDNS`, async () => {
      const { peers } = await node.json<{ peers: { public_key: string; sources: string[] }[] }>("peers", "discovered");
      return peers.find(({ public_key }) => public_key === other.ready.public_key);
    });
  await Promise.all([sees(a, b), sees(b, a)]);
  say("  Each sees the other as pending, with its proven key. That alone gives it nothing.");

  say("\nEach owner approves the other:");
  for (const [node, other] of [[b, a], [a, b]] as const) {
    const short = other.ready.node_id.slice(0, 8);
    const { summary } = await node.json<{ summary: string }>("peers", "approve", short, "--name", other.ready.name);
    say(`  ${node.ready.name}: ark-node peers approve ${short}  →  ${summary}`);
  }
  const model = await until("Node A learning what node B offers", async () => {
    const { models } = await a.json<{ models: { id: string; owner: string }[] }>("models");
    return models[0]?.id;
  });

  say(`\nAsking node A for ${model}, which only node B has: "${QUESTION}"`);
  say("  (A tiny model, 5 MB: its text looks like documentation and means nothing.)\n");
  const show = (text: string) => void Deno.stdout.writeSync(encoder.encode(text));
  const first = await ask(a, { model, maxTokens: 120, show });
  say("\n");
  say(
    `  It ran on ${first.node} (${first.route}), ${first.tokens} tokens; the first took ${
      first.firstMs.toFixed(0)
    } ms, loading the model included.`,
  );

  const through: number[] = [];
  const direct: number[] = [];
  const speed: number[] = [];
  const quiet = () => {};
  for (let round = 0; round < ROUNDS; round++) {
    through.push((await ask(a, { model, maxTokens: 1, show: quiet })).firstMs);
    direct.push((await ask(b, { model, maxTokens: 1, show: quiet })).firstMs);
  }
  for (let round = 0; round < 3; round++) {
    speed.push((await ask(a, { model, maxTokens: 120, show: quiet })).tokensPerSecond);
  }
  say(
    `  Warm: first token after ${median(through).toFixed(1)} ms through node A, ${
      median(direct).toFixed(1)
    } ms at node B itself:`,
  );
  say(
    `  the mesh added ${(median(through) - median(direct)).toFixed(2)} ms (medians of ${ROUNDS}). ${
      median(speed).toFixed(0)
    } tokens per second.`,
  );

  say("\nWhat both wrote into their audit logs about the first question (never its text):");
  for (const node of [a, b]) {
    const { entries } = await node.json<{ entries: Entry[] }>("audit", "tail", "--count", "1000");
    const entry = entries.find(({ kind, outcome }) => kind === "end" && outcome === "ok");
    if (entry === undefined) throw new Error(`${node.ready.name} recorded nothing`);
    const { direction, peer, prompt_tokens, completion_tokens, ms } = entry;
    const who = direction === "out" ? `asked ${peer.slice(0, 8)}` : `was asked by ${peer.slice(0, 8)}`;
    say(
      `  ${node.ready.name}  #${entry.seq} ${entry.at}  ${who}  ${entry.model}  ${prompt_tokens}+${completion_tokens} tokens  ${
        ms?.toFixed(0)
      } ms  ${entry.outcome}`,
    );
  }
  say("\nBoth nodes are stopped now, and their data directories are gone.");
}

try {
  await demo();
} catch (error) {
  if (!stop.signal.aborted) {
    say(`\nThe demo failed: ${error instanceof Error ? error.message : error}`);
    Deno.exit(1);
  }
  say("\nStopped; nothing is left running.");
  Deno.exit(130);
}
