/** What the native engine is compared to: llama.cpp's server as a child on loopback, or node-llama-cpp in this process. */
import { freePort, healthy } from "../support/server_port.ts";

/** Who answers. */
export interface Contender extends AsyncDisposable {
  /** For people. */
  readonly name: string;
  /** The process that computes. */
  readonly pid: number;
  /** Asks greedily; `cached` where state of earlier prompts may be used. */
  ask(question: { prompt: string; tokens: number; cached: boolean }): Promise<Measured>;
}

/** What came of a question. */
export interface Measured {
  /** Tokens of the prompt. */
  prompt: number;
  /** Tokens that were written. */
  tokens: number;
  /** Until the first token, in milliseconds. */
  firstMs: number;
}

/** How the model is loaded. */
export interface Shape {
  /** Path of the GGUF file. */
  model: string;
  /** Threads that compute. */
  threads: number;
  /** Requests at once. */
  slots: number;
  /** Tokens of context of each. */
  contextSize: number;
}

/** Starts llama.cpp's server. */
export async function serverContender(
  program: string,
  { model, threads, slots, contextSize }: Shape,
): Promise<Contender> {
  const port = freePort();
  const child = new Deno.Command(program, {
    args: [
      ...["--model", model, "--threads", `${threads}`, "--threads-batch", `${threads}`, "--parallel", `${slots}`],
      ...["--ctx-size", `${contextSize * slots}`, "--host", "127.0.0.1", "--port", `${port}`, "--no-webui"],
      ...["--n-gpu-layers", "0"],
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const url = `http://127.0.0.1:${port}`;
  const deadline = performance.now() + 60_000;
  while (!await healthy(url)) {
    if (performance.now() > deadline) throw new Error("The server did not start in a minute");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    name: "llama.cpp's server",
    pid: child.pid,
    async ask({ prompt, tokens, cached }) {
      const began = performance.now();
      const response = await fetch(`${url}/completion`, {
        method: "POST",
        body: JSON.stringify({
          prompt,
          n_predict: tokens,
          temperature: 0,
          cache_prompt: cached,
          stream: true,
          ignore_eos: true,
        }),
      });
      let firstMs = 0;
      let text = "";
      for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        firstMs ||= performance.now() - began;
        text = (text + chunk).slice(-16_384);
      }
      // It breaks off where a model writes bytes that are no text: then there is an error instead of numbers.
      const { tokens_evaluated = 0, tokens_predicted = 0 } = JSON.parse(text.slice(text.lastIndexOf("data: ") + 6));
      return { prompt: tokens_evaluated, tokens: tokens_predicted, firstMs };
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}

/** Loads node-llama-cpp in this process. */
export async function addonContender({ model, threads, slots, contextSize }: Shape): Promise<Contender> {
  const { getLlama } = await import("node-llama-cpp");
  const llama = await getLlama({
    gpu: false,
    build: "never",
    skipDownload: true,
    progressLogs: false,
    maxThreads: threads,
  });
  const loaded = await llama.loadModel({ modelPath: model, gpuLayers: 0 });
  const context = await loaded.createContext({
    sequences: slots,
    contextSize,
    threads: { ideal: threads, min: threads },
  });
  const free = Array.from({ length: slots }, () => context.getSequence());
  return {
    name: "node-llama-cpp called directly",
    pid: Deno.pid,
    async ask({ prompt, tokens, cached }) {
      const sequence = free.shift();
      if (sequence === undefined) throw new Error("There is no free sequence");
      const began = performance.now();
      const words = loaded.tokenize(prompt);
      let kept = 0;
      if (cached) kept = Math.min(sequence.compareContextTokens(words).firstDifferentIndex, words.length - 1);
      await sequence.eraseContextTokenRanges([{ start: kept, end: sequence.nextTokenIndex }]);
      let [firstMs, count] = [0, 0];
      for await (const _token of sequence.evaluate(words.slice(kept), { temperature: 0 })) {
        firstMs ||= performance.now() - began;
        if (++count === tokens) break;
      }
      free.unshift(sequence);
      return { prompt: words.length, tokens: count, firstMs };
    },
    async [Symbol.asyncDispose]() {
      await llama.dispose();
    },
  };
}
