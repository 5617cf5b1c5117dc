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
import { processorMs, Round } from "./machine.ts";
import { heading, result, Samples } from "./samples.ts";

const MODEL = Deno.env.get("ENGINE_MODEL") ?? "test/fixtures/arkling-9m-q4_0.gguf";
const LARGE = "large";
const THREADS = Number(Deno.env.get("ENGINE_THREADS") ?? "1");
const ROUNDS = Number(Deno.env.get("ENGINE_ROUNDS") ?? "21");
const STREAMS = 8;
const TOKENS = Number(Deno.env.get("ENGINE_TOKENS") ?? "64");
/** Tokens of the prefix that is there already; a model with less context has as many as fit. */
const PREFIX = 2_000;
/** From fewer rounds no ratio is told. */
const LEAST_ROUNDS = 3;
/** So many times as many rounds are tried as are wanted, where some say nothing. */
const TRIES = 2;

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
  let asked = 0;
  const own: Contender = {
    name: "native engine, in its worker",
    pid: worker.pid,
    async ask({ prompt, tokens, cached }) {
      const began = performance.now();
      let first = 0;
      const parameters = { max_tokens: tokens, temperature: 0 };
      // Nobody uses what was computed for another principal.
      const principal = cached ? "one" : `another ${asked++}`;
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
  const prompts = await wholePrompts(both);
  for (const streams of [1, STREAMS]) {
    await compare(`tokens per second, ${streams} stream(s)`, both, async (one) => {
      const began = performance.now();
      const answers = await Promise.all(
        prompts.slice(0, streams).map((prompt) => one.ask({ prompt, tokens: TOKENS, cached: false })),
      );
      if (answers.some(({ tokens }) => tokens !== TOKENS)) throw new Error(`${one.name} lost a token`);
      return streams * TOKENS / (performance.now() - began) * 1_000;
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
  const { differences } = await compare(
    `ms to the first token, ${tokens} tokens cached`,
    both,
    async (one) => (await one.ask({ prompt: `${prefix} and then number ${turn++}`, tokens: 1, cached: true })).firstMs,
    "smaller",
  );
  if (differences !== null) {
    result("  more than there, median of pairs", `${differences.toFixed(2)} ms`, "at most 10 ms");
  }
}

/** Prompts that both go on with for as many tokens as are asked for: what a model with random weights writes may end early. */
async function wholePrompts(both: readonly Contender[]): Promise<string[]> {
  const prompts: string[] = [];
  for (let number = 0; prompts.length < STREAMS; number++) {
    if (number > 20 * STREAMS) throw new Error("The model's answers end too early to be compared");
    const prompt = `Number ${number}: to install the package`;
    const answers: number[] = [];
    for (const one of both) answers.push((await one.ask({ prompt, tokens: TOKENS, cached: false })).tokens);
    if (answers.every((tokens) => tokens === TOKENS)) prompts.push(prompt);
  }
  return prompts;
}

/**
 * Measures in turn, and prints medians, and the median of the ratios of two that followed each other: many short pairs, now
 * the one first and now the other, so that what else the machine does slows both. Pairs in which a hypervisor took the
 * machine away do not count, and of fewer than three no ratio is told. The ratio of the processor time for the same work is
 * told, too: of what else the machine does it knows little.
 */
async function compare(
  name: string,
  both: readonly [Contender, Contender],
  measure: (one: Contender) => Promise<number>,
  better: "larger" | "smaller" = "larger",
): Promise<{ differences: number | null }> {
  const samples = both.map(() => new Samples());
  const [ratios, work, differences] = [new Samples(), new Samples(), new Samples()];
  let [counted, spoilt] = [0, 0];
  for (let round = -1; counted < ROUNDS && round < ROUNDS * TRIES; round++) {
    const [values, used] = [[NaN, NaN], [NaN, NaN]];
    const watch = new Round();
    for (const index of round % 2 === 0 ? [0, 1] : [1, 0]) {
      const one = both[index];
      if (one === undefined) continue;
      const before = processorMs(one.pid);
      values[index] = await measure(one);
      used[index] = processorMs(one.pid) - before;
    }
    if (round < 0) continue;
    if (watch.spoilt) {
      spoilt++;
      continue;
    }
    counted++;
    for (const [index, value] of values.entries()) samples[index]?.add(value);
    const [[own = NaN, other = NaN], [ownWork = NaN, otherWork = NaN]] = [values, used];
    ratios.add(own / other);
    differences.add(own - other);
    work.add(otherWork / ownWork);
  }
  const pairs = `${counted} pairs${spoilt === 0 ? "" : `, ${spoilt} left out for steal`}`;
  if (counted < Math.min(LEAST_ROUNDS, ROUNDS)) {
    console.log(`  ${name}: nothing can be told, ${pairs}`);
    return { differences: null };
  }
  for (const [index, { name: who }] of both.entries()) {
    console.log(`  ${`${name}: ${who}`.padEnd(72)} ${(samples[index]?.median ?? NaN).toFixed(1)}`);
  }
  if (better === "larger") {
    const spread = `half of ${pairs}: ${ratios.at(0.25).toFixed(2)} to ${ratios.at(0.75).toFixed(2)}`;
    result("  of it", `${ratios.median.toFixed(3)} (${spread})`, "at least 0.95");
    result("  of it, by processor time", work.median.toFixed(3));
  }
  return { differences: differences.median };
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
