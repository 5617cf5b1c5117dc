// deno-lint-ignore-file no-console
/**
 * The native engine, in its worker process and asked as the owner asks, against llama.cpp's own server where `LLAMA_SERVER` names one, else against
 * node-llama-cpp called directly. Same model, same threads, in turn.
 *
 * `ENGINE_MODEL` names a GGUF file, or is `large` for one of 300 MB with random weights, and `ENGINE_THREADS` is a number;
 * without them it is the fixture, on one thread. `ENGINE_ROUNDS` and `ENGINE_TOKENS` make it shorter.
 */
import { EngineWorker } from "../support/engine_worker.ts";
import { addonContender, type Contender, serverContender } from "./engine_contenders.ts";
import { writeLargeModel } from "./large_model.ts";
import { heading, result, Samples } from "./samples.ts";

const MODEL = Deno.env.get("ENGINE_MODEL") ?? "test/fixtures/arkling-9m-q4_0.gguf";
const LARGE = "large";
const THREADS = Number(Deno.env.get("ENGINE_THREADS") ?? "1");
const ROUNDS = Number(Deno.env.get("ENGINE_ROUNDS") ?? "21");
const STREAMS = 8;
const TOKENS = Number(Deno.env.get("ENGINE_TOKENS") ?? "64");
/** Tokens of the prefix that is there already; a model with less context has as many as fit. */
const PREFIX = 2_000;

/** Measures and prints. */
export async function engineBench(): Promise<void> {
  if (MODEL !== LARGE) return await measure(MODEL);
  const path = await Deno.makeTempFile({ suffix: ".gguf" });
  try {
    await writeLargeModel(path);
    await measure(path);
  } finally {
    await Deno.remove(path);
  }
}

async function measure(path: string): Promise<void> {
  const load = {
    path,
    threads: THREADS,
    slots: STREAMS,
    context_size: 4_096,
    parameters: THREADS > 1 ? 1e9 : 1e7,
  };
  await using worker = await EngineWorker.start(load);
  const { context_size } = worker.loaded;
  const own: Contender = {
    name: "native engine, in its worker",
    async ask({ prompt, tokens, principal = "a", cached }) {
      const began = performance.now();
      let first = 0;
      const parameters = { max_tokens: tokens, temperature: 0, ...cached ? {} : { seed: 1 } };
      const answer = await worker.ask({ prompt, parameters, principal, urgent: true }, {
        seen: ({ type }) => {
          if (type === "part") first ||= performance.now();
        },
      });
      return { prompt: answer.usage.prompt_tokens, tokens: answer.usage.completion_tokens, firstMs: first - began };
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const server = Deno.env.get("LLAMA_SERVER");
  const shape = { model: path, threads: THREADS, slots: STREAMS, contextSize: context_size };
  await using other = await (server === undefined ? addonContender(shape) : serverContender(server, shape));
  heading(
    `The engine: ${path.split("/").at(-1)}, ${THREADS} thread(s), context ${context_size}, against ${other.name}`,
  );
  const both = [own, other] as const;
  for (const streams of [1, STREAMS]) {
    await compare(`tokens per second, ${streams} stream(s)`, both, async (one) => {
      const began = performance.now();
      const answers = await Promise.all(
        Array.from({ length: streams }, (_, index) =>
          one.ask({
            prompt: `Number ${index}: to install the package`,
            tokens: TOKENS,
            principal: `p${index}`,
            cached: false,
          })),
      );
      const written = answers.reduce((sum, { tokens }) => sum + tokens, 0);
      return written / (performance.now() - began) * 1_000;
    });
  }
  const sentences = await sentencesFor(worker, Math.min(PREFIX, context_size - 120));
  let turn = 0;
  const quarter = Math.ceil(sentences / 4);
  await compare("prompt tokens per second", both, async (one) => {
    const { prompt, firstMs } = await one.ask({ prompt: longPrompt(quarter, turn++), tokens: 1, cached: false });
    return prompt / firstMs * 1_000;
  });
  const prefix = longPrompt(sentences, -1);
  let tokens = 0;
  for (const one of both) tokens = (await one.ask({ prompt: prefix, tokens: 1, cached: true })).prompt;
  const times = await compare(
    `ms to the first token, ${tokens} tokens cached`,
    both,
    async (one) => (await one.ask({ prompt: `${prefix} and then number ${turn++}`, tokens: 1, cached: true })).firstMs,
    "smaller",
  );
  result(
    "  more than there",
    `${((times[0]?.median ?? NaN) - (times[1]?.median ?? NaN)).toFixed(2)} ms`,
    "at most 10 ms",
  );
}

/**
 * Measures in turn, and prints medians, and the median of the ratios of two that followed each other: many short pairs, now
 * the one first and now the other, so that what else the machine does slows both.
 */
async function compare(
  name: string,
  both: readonly [Contender, Contender],
  measure: (one: Contender) => Promise<number>,
  better: "larger" | "smaller" = "larger",
): Promise<Samples[]> {
  const samples = both.map(() => new Samples());
  const ratios = new Samples();
  for (let round = -1; round < ROUNDS; round++) {
    const values = [NaN, NaN];
    for (const index of round % 2 === 0 ? [0, 1] : [1, 0]) {
      const one = both[index];
      if (one !== undefined) values[index] = await measure(one);
    }
    if (round < 0) continue;
    for (const [index, value] of values.entries()) samples[index]?.add(value);
    ratios.add((values[0] ?? NaN) / (values[1] ?? NaN));
  }
  for (const [index, { name: who }] of both.entries()) {
    console.log(`  ${`${name}: ${who}`.padEnd(72)} ${(samples[index]?.median ?? NaN).toFixed(1)}`);
  }
  const spread = `${ratios.at(0.25).toFixed(2)} to ${ratios.at(0.75).toFixed(2)}`;
  if (better === "larger") {
    result("  of it", `${ratios.median.toFixed(3)} (half of ${ROUNDS} pairs: ${spread})`, "at least 0.95");
  }
  return samples;
}

/** How many sentences have about so many tokens. */
async function sentencesFor(worker: EngineWorker, tokens: number): Promise<number> {
  const many = 20;
  const { usage } = await worker.ask({ prompt: longPrompt(many, 0), count_only: true });
  return Math.floor(tokens / usage.prompt_tokens * many);
}

/** A prompt of so many sentences, another one for each number. */
function longPrompt(sentences: number, number: number): string {
  return ` Server ${number} is ready and the client waits for an answer of the node.`.repeat(sentences);
}
