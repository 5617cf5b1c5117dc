import assert from "node:assert/strict";
import fc from "fast-check";
import { ArkError, decodeInferenceEvent, type InferenceEvent, type InferenceRequest } from "@ark/node/protocol";
import { Upstream, type UpstreamOptions } from "@ark/node/routing";
import { until } from "../inference/local_fixture.ts";
import { UpstreamStream } from "../../src/routing/upstream/upstream_stream.ts";
import { almost } from "../protocol/json_values.ts";
import { chunk, events, twoWords, type UpstreamReply, UpstreamServer } from "./upstream_server.ts";

const CHAT: InferenceRequest = {
  model: "big",
  input: { kind: "chat", messages: [{ role: "user", content: "Hello" }] },
  parameters: {},
};

async function known(server: UpstreamServer, options: Partial<UpstreamOptions> = {}): Promise<Upstream> {
  const logger = { info() {}, warn() {} };
  const upstream = new Upstream({ name: "box", url: server.url, key: null, logger, ...options });
  await upstream.look(new AbortController().signal);
  return upstream;
}

function asking(signal = new AbortController().signal) {
  return { priority: "owner", principal: "owner", signal } as const;
}

async function collect(upstream: Upstream, request = CHAT): Promise<InferenceEvent[]> {
  return await Array.fromAsync(upstream.infer(request, asking()));
}

async function answered(
  reply: UpstreamReply,
  request = CHAT,
): Promise<{ got: InferenceEvent[]; server: UpstreamServer }> {
  await using server = new UpstreamServer(reply, ["big:latest"]);
  using upstream = await known(server);
  return { got: await collect(upstream, request), server };
}

Deno.test("Upstream finds a server's models, whether or not its address ends with /v1, and shows its key to it alone", async () => {
  await using server = new UpstreamServer(twoWords, ["Big:70b", "small", "bad\u0000name"]);
  for (const url of [server.url, `${server.url}/`, `${server.url}/v1`, `${server.url}/v1/`]) {
    using upstream = await known(server, { url, key: "secret-key" });
    assert.deepEqual(upstream.models().map(({ id }) => id), ["Big:70b", "small"]);
    assert.equal(upstream.find("big:70B")?.id, "Big:70b");
    assert.equal(upstream.find("small")?.id, "small");
    assert.equal(upstream.find("big"), undefined);
    assert.ok(upstream.local && !JSON.stringify(upstream.status()).includes("secret-key"));
    await collect(upstream, { ...CHAT, model: "small" });
  }
  assert.ok(server.asked.every(({ authorization }) => authorization === "Bearer secret-key"));
});

Deno.test("Upstream.infer() passes a chat on and its stream back, with the server's own count of tokens", async () => {
  const { got, server } = await answered(twoWords, {
    ...CHAT,
    parameters: { max_tokens: 9, stop: ["x"], logit_bias: [[3, 1]] },
  });
  assert.deepEqual(got.slice(0, 3), [
    { type: "start", model: "big:latest", digest: null, prompt_tokens: 0 },
    { type: "text", text: "Hello", tokens: 1 },
    { type: "text", text: " there", tokens: 1 },
  ]);
  const end = got.at(-1);
  assert.ok(end?.type === "end");
  assert.deepEqual([end.finish_reason, end.usage], ["stop", { prompt_tokens: 5, completion_tokens: 2 }]);
  assert.deepEqual(server.asked[0]?.body, {
    model: "big:latest",
    messages: [{ role: "user", content: "Hello" }],
    max_tokens: 9,
    stop: ["x"],
    logit_bias: { "3": 1 },
    stream: true,
    stream_options: { include_usage: true },
  });
});

Deno.test("Upstream.infer() passes tools, thoughts and chances on and back", async () => {
  const schema = { type: "object", properties: { city: { type: "string" } } };
  const request: InferenceRequest = {
    model: "big",
    input: {
      kind: "chat",
      messages: [
        { role: "assistant", content: "", tool_calls: [{ id: "c1", name: "weather", arguments: "{}" }] },
        { role: "tool", content: "31", tool_call_id: "c1" },
      ],
      tools: [{ name: "weather", parameters: schema }],
      tool_choice: { name: "weather" },
      think: false,
    },
    parameters: { logprobs: 1, format: { kind: "json_schema", schema } },
  };
  const chance = { token: "Hm", logprob: -0.5, bytes: [72, 109] };
  const { got, server } = await answered(() =>
    events([
      chunk({ role: "assistant", reasoning_content: "I think" }),
      chunk({ content: "Hm" }, { logprobs: { content: [{ ...chance, top_logprobs: [chance] }] } }),
      chunk({
        tool_calls: [{ index: 0, id: "call_9", type: "function", function: { name: "weather", arguments: "" } }],
      }),
      chunk({ tool_calls: [{ index: 0, function: { arguments: '{"city":' } }] }),
      chunk({ tool_calls: [{ index: 0, function: { arguments: '"Rome"}' } }] }),
      chunk({}, { finish_reason: "tool_calls" }),
      "[DONE]",
    ]), request);
  assert.deepEqual(got.slice(1, -1), [
    { type: "reasoning", text: "I think", tokens: 1 },
    { type: "text", text: "Hm", tokens: 1, logprobs: [{ ...chance, top: [chance] }] },
    { type: "tool_call", index: 0, id: "call_9", name: "weather", tokens: 1 },
    { type: "tool_arguments", index: 0, text: '{"city":', tokens: 1 },
    { type: "tool_arguments", index: 0, text: '"Rome"}', tokens: 1 },
  ]);
  const end = got.at(-1);
  assert.deepEqual(end?.type === "end" && [end.finish_reason, end.usage.completion_tokens], ["tool_calls", 5]);
  const body = server.asked[0]?.body as Record<string, Record<string, unknown>>;
  assert.deepEqual(body.tool_choice, { type: "function", function: { name: "weather" } });
  assert.deepEqual(body.response_format?.type, "json_schema");
  assert.deepEqual([body.logprobs, body.top_logprobs, body.chat_template_kwargs], [true, 1, {
    enable_thinking: false,
  }]);
});

Deno.test("Upstream.infer() brings vectors to length 1 and scores between 0 and 1", async () => {
  const texts = await answered(
    () =>
      Response.json({
        data: [{ index: 1, embedding: [0, 2] }, { index: 0, embedding: [3, 4] }],
        usage: { prompt_tokens: 4 },
      }),
    { model: "big", input: { kind: "embed", texts: ["a", "b"] }, parameters: {} },
  );
  const vectors = texts.got.flatMap((event) => event.type === "vector" ? [event] : []);
  assert.deepEqual(vectors.map(({ index }) => index), [1, 0]);
  const floats = new Float32Array(Uint8Array.fromBase64(vectors[1]?.values ?? "").buffer);
  assert.deepEqual([...floats].map((value) => value.toFixed(3)), ["0.600", "0.800"]);
  const ranked = await answered(
    () => Response.json({ results: [{ index: 0, relevance_score: -2 }, { index: 1, relevance_score: 0.5 }] }),
    { model: "big", input: { kind: "rerank", query: "q", documents: ["a", "b"] }, parameters: {} },
  );
  const scores = ranked.got.flatMap((event) => event.type === "score" ? [event.score] : []);
  assert.ok((scores[0] ?? 1) < 0.2 && scores[1] === 0.5);
});

for (
  const [what, reply, code, message] of [
    ["a stream that is cut", () => events([chunk({ content: "Hel" })]), "unavailable", /broke off/],
    [
      "an error in mid-stream",
      () => events([chunk({ content: "a" }), { error: { message: "No memory" } }]),
      "unavailable",
      /No memory/,
    ],
    ["a stream that is none", () => events(["{not json"]), "unavailable", /not part of OpenAI's API/],
    [
      "a page of a proxy",
      () => new Response("<html>Bad gateway", { status: 502 }),
      "unavailable",
      /box answered with status 502/,
    ],
    ["a wrong key", () => new Response("{}", { status: 401 }), "unavailable", /refuses this node's key/],
    [
      "a wrong request",
      () => Response.json({ error: { message: "Bad temperature" } }, { status: 400 }),
      "bad_request",
      /Bad temp/,
    ],
    [
      "a prompt that is too long",
      () => Response.json({ error: "exceeds the context size" }, { status: 400 }),
      "context_exceeded",
      /context/,
    ],
    ["a full queue", () => new Response("", { status: 429, headers: { "retry-after": "7" } }), "busy", /429/],
    [
      "a redirect, which would take the key elsewhere",
      () => Response.redirect("http://127.0.0.1:9/"),
      "unavailable",
      /status 302/,
    ],
  ] as [string, UpstreamReply, string, RegExp][]
) {
  Deno.test(`Upstream.infer() tells ${what} by a typed error`, async () => {
    await assert.rejects(answered(reply), { name: "ArkError", code, message });
  });
}

Deno.test("Upstream.infer() closes the connection when the reader leaves, and when the signal is aborted", async () => {
  await using server = new UpstreamServer(() => events([chunk({ content: "a" })], { open: true }), ["big"]);
  using upstream = await known(server);
  for await (const event of upstream.infer(CHAT, asking())) if (event.type === "text") break;
  await until(() => server.left === 1);
  const abort = new AbortController();
  await assert.rejects(async () => {
    for await (const event of upstream.infer(CHAT, asking(abort.signal))) if (event.type === "text") abort.abort();
  }, { code: "cancelled" });
  await until(() => server.left === 2);
  assert.equal(upstream.inFlight, 0);
});

Deno.test("Upstream asks again on connections that it has, whatever was asked, and after a refusal as well", async () => {
  await using server = new UpstreamServer(
    (path) =>
      path === "/v1/embeddings"
        ? Response.json({ data: [{ index: 0, embedding: [1] }] })
        : path === "/v1/completions"
        ? Response.json({ error: "No" }, { status: 400 })
        : twoWords(),
    ["big"],
  );
  using upstream = await known(server);
  let asked = 2;
  assert.equal(server.connections.size, 1, "Two lists were asked for");
  const [embed, refused]: InferenceRequest[] = [
    { model: "big", input: { kind: "embed", texts: ["a"] }, parameters: {} },
    { model: "big", input: { kind: "completion", prompt: "a" }, parameters: {} },
  ];
  for (let time = 0; time < 3; time++) {
    await collect(upstream, embed);
    await assert.rejects(collect(upstream, refused), { code: "bad_request" });
    asked += 2;
  }
  assert.equal(server.connections.size, 1, "Their answers were read to the end");
  // The end of a stream may come only after its last event.
  await until(async () => {
    await collect(upstream);
    return ++asked - server.connections.size >= 16;
  });
});

Deno.test("Upstream.infer() does not wait for the end of a stream that is complete, and asks again on its connection", async () => {
  const { promise, resolve: end } = Promise.withResolvers<void>();
  const slow = twoWords().body?.pipeThrough(new TransformStream({ flush: () => promise }));
  const replies = [new Response(slow)];
  // Of the others none is kept, so that it is the only one that can be.
  const others = () => new Response(twoWords().body, { headers: { connection: "close" } });
  await using server = new UpstreamServer(() => replies.pop() ?? others(), ["big"]);
  using upstream = await known(server);
  assert.equal((await collect(upstream)).at(-1)?.type, "end");
  assert.equal((await collect(upstream)).at(-1)?.type, "end");
  const [first, second] = server.asked.map(({ port }) => port);
  assert.notEqual(second, first, "The first one's end has not come");
  end();
  await until(async () => {
    await collect(upstream);
    return server.asked.at(-1)?.port === first;
  });
  assert.equal(server.left, 0);
});

Deno.test("Upstream.run() keeps no connection when it has ended", async () => {
  await using server = new UpstreamServer(twoWords, ["big"]);
  const logger = { info() {}, warn() {} };
  // Not disposed of: what is open at the end fails the test.
  const upstream = new Upstream({ name: "box", url: server.url, key: null, logger });
  const stop = new AbortController();
  const running = upstream.run(stop.signal);
  await until(() => upstream.handles("big"));
  stop.abort();
  await running;
  assert.equal((await collect(upstream)).at(-1)?.type, "end");
  assert.equal(server.connections.size, 2);
});

Deno.test("Upstream asks a server that was started anew in the meantime, once", async () => {
  const asked: string[] = [];
  const serve = (port: number) =>
    Deno.serve({ hostname: "127.0.0.1", port, onListen: () => {} }, async (request) => {
      if (request.method !== "POST") return Response.json({ data: [{ id: "big" }] });
      asked.push((await request.json()).model);
      return twoWords();
    });
  const first = serve(0);
  const { port } = first.addr;
  const logger = { info() {}, warn() {} };
  using upstream = new Upstream({ name: "box", url: `http://127.0.0.1:${port}`, key: null, logger });
  await upstream.look(new AbortController().signal);
  await first.shutdown();
  await using _second = serve(port);
  assert.equal((await collect(upstream)).at(-1)?.type, "end");
  assert.deepEqual(asked, ["big"]);
});

Deno.test("Upstream.infer() gives up a server that falls silent", async () => {
  await using server = new UpstreamServer(() => events([chunk({ content: "a" })], { open: true }), ["big"]);
  using upstream = await known(server, { silenceMs: 50 });
  await assert.rejects(collect(upstream), {
    code: "unavailable",
    message: /fell silent/,
  });
});

Deno.test("Upstream.look() says why a server cannot be used, and finds it again", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  using upstream = new Upstream({
    name: "box",
    url: `http://127.0.0.1:${port}`,
    key: null,
    logger: { info() {}, warn() {} },
  });
  const { signal } = new AbortController();
  await upstream.look(signal);
  assert.match(upstream.status().reason ?? "", /^box cannot be reached: /);
  assert.ok(!upstream.handles("big"));
  const server = Deno.serve(
    { hostname: "127.0.0.1", port, onListen: () => {} },
    () => Response.json({ data: [{ id: "big" }] }),
  );
  await upstream.look(signal);
  assert.deepEqual([upstream.status().reason, upstream.handles("big")], [null, true]);
  await server.shutdown();
  await upstream.look(signal);
  assert.ok(!upstream.handles("big"));
});

Deno.test("Upstream takes what Ollama says of its models", async () => {
  const tags = {
    models: [{ name: "llama3.1:8b", size: 4e9, details: { parameter_size: "8.0B", quantization_level: "Q4_K_M" } }],
  };
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ url }) => {
    return Response.json(url.endsWith("/api/tags") ? tags : { data: [{ id: "llama3.1:8b" }] });
  });
  using upstream = new Upstream({
    name: "ollama",
    url: `http://127.0.0.1:${server.addr.port}`,
    key: null,
    logger: { info() {}, warn() {} },
  });
  await upstream.look(new AbortController().signal);
  assert.deepEqual(upstream.models(), [
    { id: "llama3.1:8b", size: 4e9, context_length: 0, parameters: "8.0b", quantization: "q4_k_m" },
  ]);
});

Deno.test("UpstreamStream makes events of the protocol of whatever a server sends, or says that it is nonsense", async () => {
  const call = { index: 0, id: "c", function: { name: "f", arguments: "{" } };
  const usual = chunk({ content: "a", reasoning_content: "b", tool_calls: [call] }, {
    logprobs: { content: [{ token: "a", logprob: -1, bytes: [97], top_logprobs: [] }] },
  });
  const line = fc.oneof(almost(usual), fc.constant(chunk({}, { finish_reason: "stop" })), fc.string());
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 5 }), fc.integer({ min: 1, max: 40 }), async (lines, size) => {
      const text = lines.map((one) => `data: ${typeof one === "string" ? one : JSON.stringify(one)}\n\n`).join("");
      const bytes = new TextEncoder().encode(text);
      let at = 0;
      const read = () => Promise.resolve(at < bytes.length ? bytes.slice(at, at += size) : null);
      try {
        const stream = new UpstreamStream({ name: "box", model: "m", heard() {} });
        for await (const event of stream.read({ read })) assert.deepEqual(decodeInferenceEvent(event), event);
      } catch (error) {
        assert.ok(error instanceof ArkError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
