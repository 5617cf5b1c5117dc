/** What the local listener adds to an answer: a bare `Deno.serve` that streams the same bytes is the baseline. */
import { localApp, type LocalAppOptions } from "@ark/node/http";
import { Metrics } from "@ark/node/telemetry";
import { heading, result, row, Samples } from "./samples.ts";
import { streamedAnswer } from "./streamed_answer.ts";

const ROUNDS = 400;
const TOKENS = 100;
const PIECE = " token";

function serve(handler: (request: Request) => Response | Promise<Response>): { api: string; server: Deno.HttpServer } {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, handler);
  return { api: `http://127.0.0.1:${(server.addr as Deno.NetAddr).port}`, server };
}

/** A chunk as the listener writes it. */
function chunk(text: string): Uint8Array {
  const fixed = {
    id: `chatcmpl-${"0".repeat(32)}`,
    object: "chat.completion.chunk",
    created: 1_790_000_000,
    model: "model",
  };
  const choices = [{ index: 0, delta: { content: text }, logprobs: null, finish_reason: null }];
  return new TextEncoder().encode(`data: ${JSON.stringify({ ...fixed, choices })}\n\n`);
}

/** Measures and prints. */
export async function listenerBench(): Promise<void> {
  const bytes = chunk(PIECE);
  const bare = serve(async (request) => {
    await request.json();
    let left = TOKENS;
    const body = new ReadableStream({
      pull(controller) {
        controller.enqueue(bytes);
        if (--left === 0) controller.close();
      },
    }, { highWaterMark: 0 });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  });
  const answers = {
    models: () => [],
    async *infer() {
      yield { type: "start" as const, model: "model", digest: null, prompt_tokens: 3 };
      for (let token = 0; token < TOKENS; token++) yield { type: "text" as const, text: PIECE, tokens: 1 };
      const timings = { queue_ms: 0, load_ms: 0, prompt_ms: 0, generation_ms: 0 };
      const usage = { prompt_tokens: 3, completion_tokens: TOKENS };
      yield { type: "end" as const, finish_reason: "stop" as const, usage, timings };
    },
  };
  // The admin calls are not measured; what they would need stays away.
  const api = { hostname: "127.0.0.1", port: 0 };
  const keys = { keys: {}, keysRequired: false, doctor: {} };
  const admin = {
    token: "",
    audit: {},
    engine: null,
    router: answers,
    api,
    ...keys,
  } as unknown as LocalAppOptions["admin"];
  const node = serve(localApp({ admin, api: { answers }, metrics: new Metrics() }));
  const [bareFirst, nodeFirst, bareTotal, nodeTotal] = [new Samples(), new Samples(), new Samples(), new Samples()];
  for (let round = -50; round < ROUNDS; round++) {
    const direct = await streamedAnswer(bare.api, { model: "model" });
    const through = await streamedAnswer(node.api, { model: "model" });
    if (round < 0) continue;
    bareFirst.add(direct.firstMs);
    nodeFirst.add(through.firstMs);
    bareTotal.add(direct.totalMs);
    nodeTotal.add(through.totalMs);
  }
  heading(`1. Local listener, ${ROUNDS} streamed answers of ${TOKENS} tokens`);
  row("bare Deno.serve, to the first token", bareFirst);
  row("local listener, to the first token", nodeFirst);
  result("added to the first token", `${(nodeFirst.median - bareFirst.median).toFixed(3)} ms`);
  const perToken = (nodeTotal.median - bareTotal.median) * 1_000 / TOKENS;
  result("added per token", `${perToken.toFixed(1)} µs`);
  await Promise.all([bare.server.shutdown(), node.server.shutdown()]);
}
