/** How soon a revocation is felt: eight endless streams of one peer, cut by the owner's call. */
import { until } from "../inference/local_fixture.ts";
import { StreamingNode, STREAMS } from "../support/streaming_node.ts";
import { heading, result, row, Samples } from "./samples.ts";

const ROUNDS = 200;

/** Measures and prints. */
export async function revocationBench(): Promise<void> {
  await using node = await StreamingNode.start();
  await using peer = await node.peer();
  const [last, answer, idle] = [new Samples(), new Samples(), new Samples()];
  for (let round = -3; round < ROUNDS; round++) {
    const streams = await node.streams(peer, { slowMs: 5 });
    const began = performance.now();
    const response = await node.call("/peers/revoke", { public_key: peer.publicKey });
    const answered = performance.now();
    await response.body?.cancel();
    if (!response.ok) throw new Error(`The revocation failed: ${response.status}`);
    await until(() => streams.every(({ open }) => !open));
    await until(async () => await node.busy() === 0);
    const stopped = performance.now();
    await node.approve(peer);
    if (round < 0) continue;
    last.add(Math.max(...streams.map(({ lastAt }) => lastAt)) - began);
    answer.add(answered - began);
    idle.add(stopped - began);
  }
  heading(`4. Revocation of a peer with ${STREAMS} running streams, ${ROUNDS} times, from the owner's call`);
  row("the last byte reaches the peer", last);
  row("the call is answered, durable on disk", answer);
  row("all workers say that they have stopped", idle);
  result("the last byte reaches the peer, at the latest", `${last.at(1).toFixed(3)} ms`, "at most 50 ms");
}
