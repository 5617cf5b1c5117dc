/**
 * What ten greedy peers cost the owner: his time to the first token alone, and while they ask without a pause. The fake
 * engine keeps the times of a real one: a tenth of a second until the owner's first token, a hundredth for each of a peer.
 */
import { StreamingNode } from "../support/streaming_node.ts";
import { type MeshPeer, question } from "../mesh/mesh_peer.ts";
import { heading, result, row, Samples } from "./samples.ts";
import { streamedAnswer } from "./streamed_answer.ts";

const ROUNDS = 60;
const OWN = "#slow=100";
const THEIRS = "#slow=10";
const PEERS = 10;

/** Measures and prints. */
export async function ownerBench(): Promise<void> {
  await using node = await StreamingNode.start();
  await using stack = new AsyncDisposableStack();
  const [own = "", theirs = ""] = await node.models();
  const peers = await Promise.all(Array.from({ length: PEERS }, async () => stack.use(await node.peer())));
  const ask = (model: string) =>
    streamedAnswer(node.node.ready.api, { model, max_tokens: 1, messages: [{ role: "user", content: OWN }] });
  const greedy = (model: string) => greed(peers, model);

  const measure = async (model: string): Promise<[alone: Samples, among: Samples]> => {
    const [alone, among] = [new Samples(), new Samples()];
    for (let round = 0; round < 10; round++) await ask(model);
    for (let round = 0; round < ROUNDS; round++) alone.add((await ask(model)).firstMs);
    await using _greed = greedy(model);
    for (let round = 0; round < 10; round++) await ask(model);
    for (let round = 0; round < ROUNDS; round++) among.add((await ask(model)).firstMs);
    return [alone, among];
  };
  const [alone, among] = await measure(own);
  heading(`5. The owner among ${PEERS} peers that ask without a pause, ${ROUNDS} answers, time to the first token`);
  row("alone", alone);
  row("while they ask the same model", among);
  result("p95 among them / alone", (among.at(0.95) / alone.at(0.95)).toFixed(2), "at most 1.10");
  await using _greed = greedy(theirs);
  const other = new Samples();
  for (let round = 0; round < ROUNDS; round++) other.add((await ask(own)).firstMs);
  row("while they ask another model", other);
  result("p95 among them / alone", (other.at(0.95) / alone.at(0.95)).toFixed(2), "at most 1.10");
}

/** Peers that ask again as soon as they have their answer, until this is disposed. */
function greed(peers: readonly MeshPeer[], model: string): AsyncDisposable {
  const enough = new AbortController();
  const work = peers.map(async (peer) => {
    while (!enough.signal.aborted) await peer.ask(question(model, THEIRS, { max_tokens: 200 })).catch(() => {});
  });
  return {
    async [Symbol.asyncDispose]() {
      enough.abort();
      await Promise.all(work);
    },
  };
}
