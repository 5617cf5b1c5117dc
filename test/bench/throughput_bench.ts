/** Tokens per second through the API against the engine's child process asked without a node. */
import { fileURLToPath } from "node:url";
import { realBackend } from "../inference/local_fixture.ts";
import { NodeProcess } from "../support/node_process.ts";
import { heading, result, Samples } from "./samples.ts";
import { streamedAnswer } from "./streamed_answer.ts";

const ROUNDS = 15;
const TOKENS = 400;
const FIXTURES = fileURLToPath(new URL("../fixtures", import.meta.url));

/** Measures and prints. */
export async function throughputBench(): Promise<void> {
  await using backend = await realBackend();
  await using node = await NodeProcess.start({
    name: "N",
    args: ["--no-mdns", "--gpu", "off", "--threads", "1", "--models", FIXTURES, "--log-level", "warn"],
  });
  const parameters = { max_tokens: TOKENS, seed: 7, temperature: 0.8 };
  const [direct, through] = [new Samples(), new Samples()];
  for (let round = -2; round < ROUNDS; round++) {
    const own = await engineSpeed(backend, parameters);
    const { pieces, writingMs } = await streamedAnswer(node.ready.api, { model: "arkling", ...parameters });
    const api = (pieces - 1) / writingMs * 1_000;
    if (round < 0) continue;
    direct.add(own);
    through.add(api);
  }
  heading(`3. Tokens per second, ${ROUNDS} answers of up to ${TOKENS} tokens each, in turn, arkling 9m on one thread`);
  result("engine's child process, without a node", `${direct.median.toFixed(0)} tokens/s`);
  result("through the API of a node", `${through.median.toFixed(0)} tokens/s`);
  result("ratio", (through.median / direct.median).toFixed(3), "at least 0.97");
}

async function engineSpeed(
  backend: Awaited<ReturnType<typeof realBackend>>,
  parameters: { max_tokens: number; seed: number; temperature: number },
): Promise<number> {
  const options = { priority: "owner", principal: "owner", signal: new AbortController().signal } as const;
  const messages = [{ role: "user" as const, content: "one two three" }];
  let [first, last, pieces] = [0, 0, 0];
  for await (
    const event of backend.infer({ model: "arkling", input: { kind: "chat", messages }, parameters }, options)
  ) {
    if (event.type !== "text" || event.text === "") continue;
    last = performance.now();
    first ||= last;
    pieces++;
  }
  return (pieces - 1) / (last - first) * 1_000;
}
