/** What the mesh adds to the first token: node B asked by its owner is the baseline, node A that asks B the other. */
import { fileURLToPath } from "node:url";
import { NodeProcess } from "../support/node_process.ts";
import { until } from "../inference/local_fixture.ts";
import { heading, result, row, Samples } from "./samples.ts";
import { streamedAnswer } from "./streamed_answer.ts";

const ROUNDS = 500;
const FIXTURES = fileURLToPath(new URL("../fixtures", import.meta.url));
const MAIN = fileURLToPath(new URL("../support/fake_node.ts", import.meta.url));

/** Measures and prints. */
export async function meshBench(): Promise<void> {
  const command = [Deno.execPath(), "run", "-A", MAIN];
  const quiet = ["--no-mdns", "--log-level", "warn"];
  await using b = await NodeProcess.start({ name: "B", command, args: [...quiet, "--models", FIXTURES] });
  await using a = await NodeProcess.start({ name: "A", command, args: [...quiet, "--peer", b.ready.mesh] });
  await b.json("peers", "approve", a.ready.public_key);
  await a.json("peers", "approve", b.ready.public_key);
  await until(async () => (await a.json<{ models: unknown[] }>("models")).models.length > 0);
  // Long enough that the end of the answer, which is recorded, does not fall into the first token.
  const ask = (node: NodeProcess) => streamedAnswer(node.ready.api, { model: "arkling", max_tokens: 32 });
  const [through, direct] = [new Samples(), new Samples()];
  for (let round = -300; round < ROUNDS; round++) {
    const [far, near] = [await ask(a), await ask(b)];
    if (round < 0) continue;
    through.add(far.firstMs);
    direct.add(near.firstMs);
  }
  heading(`2. Mesh, time to the first token between two nodes on loopback, ${ROUNDS} answers each, in turn`);
  row("node B, asked by its owner", direct);
  row("node A, which asks node B", through);
  result("the mesh adds, median", `${(through.median - direct.median).toFixed(3)} ms`, "at most 1 ms");
  result("the mesh adds, p99", `${(through.p99 - direct.p99).toFixed(3)} ms`, "at most 5 ms");
}
