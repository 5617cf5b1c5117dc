import assert from "node:assert/strict";
import { ArkError, type InferenceEvent, type TokenLogprob } from "@ark/node/protocol";
import { END, failing, MODEL, type Script, ScriptedAnswers, START, telling } from "../api/scripted_answers.ts";
import { askOllama, chat, linesOf, ScriptedKeeper } from "./asking.ts";
import { assertAnswerLines, assertShape } from "./schemas.ts";

type End = Extract<InferenceEvent, { type: "end" }>;

/** These events between a start and an end. */
function saying(events: InferenceEvent[], end: Partial<End> = {}): Script {
  return async function* () {
    await Promise.resolve();
    yield START;
    yield* events;
    yield { ...END, ...end } as End;
  };
}

function generate(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return { model: MODEL, prompt: "Hello", ...fields };
}

const CALLING: InferenceEvent[] = [
  { type: "reasoning", text: "I ", tokens: 1 },
  { type: "reasoning", text: "ask", tokens: 1 },
  { type: "tool_call", index: 0, id: "call_a", name: "weather", tokens: 1 },
  { type: "tool_arguments", index: 0, text: '{"city":', tokens: 1 },
  { type: "tool_arguments", index: 0, text: '"Rome"}', tokens: 1 },
  { type: "tool_call", index: 1, id: "call_b", name: "time", tokens: 1 },
];

Deno.test("ollamaRoutes() streams a chat without being asked to, and ends it with what it cost", async () => {
  const response = await askOllama(new ScriptedAnswers(telling("Hi", " there")), { body: chat() });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("x-ark-node"), "kitchen");
  const lines = await linesOf(response);
  assertAnswerLines("chat", lines);
  assert.deepEqual(lines.map(({ message }) => message), [
    { role: "assistant", content: "Hi" },
    { role: "assistant", content: " there" },
    { role: "assistant", content: "" },
  ]);
  const { done_reason, prompt_eval_count, eval_count, prompt_eval_duration, eval_duration, load_duration } =
    lines.at(-1) ?? {};
  assert.deepEqual(
    { done_reason, prompt_eval_count, eval_count, prompt_eval_duration, eval_duration, load_duration },
    {
      done_reason: "stop",
      prompt_eval_count: 7,
      eval_count: 2,
      prompt_eval_duration: 1_000_000,
      eval_duration: 2_000_000,
      load_duration: 1,
    },
  );
});

Deno.test("ollamaRoutes() answers a chat in one piece, with the same text and the same fields at its end", async () => {
  const response = await askOllama(new ScriptedAnswers(telling("Hi", " there")), { body: chat({ stream: false }) });
  assert.equal(response.headers.get("content-type"), "application/json; charset=utf-8");
  const body = await response.json();
  assertShape("chatDone", body);
  assert.deepEqual(body.message, { role: "assistant", content: "Hi there" });
  assert.equal(body.model, MODEL);
});

Deno.test("ollamaRoutes() tells thoughts and calls with arguments that are objects, streamed and not", async () => {
  const script = saying(CALLING, { finish_reason: "tool_calls" });
  const calls = [
    { id: "call_a", function: { index: 0, name: "weather", arguments: { city: "Rome" } } },
    { id: "call_b", function: { index: 1, name: "time", arguments: {} } },
  ];
  const whole = await (await askOllama(new ScriptedAnswers(script), { body: chat({ stream: false }) })).json();
  assertShape("chatDone", whole);
  assert.deepEqual(whole.message, { role: "assistant", content: "", thinking: "I ask", tool_calls: calls });
  assert.equal(whole.done_reason, "stop");
  const lines = await linesOf(await askOllama(new ScriptedAnswers(script), { body: chat() }));
  assertAnswerLines("chat", lines);
  const messages = lines.map(({ message }) => message as { thinking?: string; tool_calls?: unknown[] });
  assert.equal(messages.map(({ thinking = "" }) => thinking).join(""), "I ask");
  assert.deepEqual(messages.flatMap(({ tool_calls = [] }) => tool_calls), calls);
  const made = await linesOf(
    await askOllama(new ScriptedAnswers(script), { path: "/api/generate", body: generate() }),
  );
  assertAnswerLines("generate", made);
});

Deno.test("ollamaRoutes() fails where a call is no JSON, and leaves out one that a limit cut off", async () => {
  const cut = CALLING.slice(0, 4);
  const failed = await askOllama(new ScriptedAnswers(saying(cut)), { body: chat({ stream: false }) });
  assert.equal(failed.status, 500);
  assertShape("error", await failed.json());
  const lines = await linesOf(await askOllama(new ScriptedAnswers(saying(cut)), { body: chat() }));
  assertShape("error", lines.at(-1));
  const script = saying(cut, { finish_reason: "length" });
  const body = await (await askOllama(new ScriptedAnswers(script), { body: chat({ stream: false }) })).json();
  assertShape("chatDone", body);
  assert.deepEqual([body.done_reason, body.message.tool_calls], ["length", undefined]);
});

Deno.test("ollamaRoutes() tells how likely each token was", async () => {
  const chance = (token: string, top: boolean): TokenLogprob => {
    const one = { token, bytes: [...new TextEncoder().encode(token)], logprob: -0.5 };
    return { ...one, top: top ? [one] : [] };
  };
  const texts = ["H", "i"].map((text, index): InferenceEvent => {
    return { type: "text", text, tokens: 1, logprobs: [chance(text, index === 0)] };
  });
  for (const path of ["/api/chat", "/api/generate"]) {
    const kind = path === "/api/chat" ? "chat" : "generate";
    const asked = kind === "chat" ? chat : generate;
    const answers = new ScriptedAnswers(saying(texts));
    const lines = await linesOf(
      await askOllama(answers, { path, body: asked({ logprobs: true, top_logprobs: 1 }) }),
    );
    assertAnswerLines(kind, lines);
    assert.equal(answers.asked[0]?.request.parameters.logprobs, 1);
    const told = lines.flatMap(({ logprobs = [] }) => logprobs as TokenLogprob[]);
    assert.deepEqual(told.map(({ token }) => token), ["H", "i"]);
    const whole = await askOllama(answers, { path, body: asked({ logprobs: true, stream: false }) });
    const body = await whole.json();
    assertShape(`${kind}Done`, body);
    assert.deepEqual(body.logprobs, told);
  }
});

Deno.test("ollamaRoutes() asks what the client asked, and nothing else", async () => {
  const answers = new ScriptedAnswers(telling("Hi"));
  const schema = { type: "object", properties: { a: { type: "string" } } };
  const body = chat({
    user: "me",
    session: 1,
    options: { num_predict: 3, temperature: 0, seed: 7, num_ctx: 9 },
    format: schema,
    think: true,
    keep_alive: "10m",
    tools: [{ type: "function", function: { name: "f", parameters: schema } }],
  });
  await linesOf(await askOllama(answers, { body }));
  const [asked] = answers.asked;
  assert.deepEqual(asked?.request, {
    model: MODEL,
    input: {
      kind: "chat",
      messages: [{ role: "user", content: "Hello" }],
      tools: [{ name: "f", parameters: schema }],
      think: true,
    },
    parameters: { max_tokens: 3, temperature: 0, seed: 7, format: { kind: "json_schema", schema } },
  });
  const { signal: _, chosen: __, direct: ___, ...options } = asked?.options as unknown as Record<string, unknown>;
  const { request: id, ...rest } = options;
  assert.match(String(id), /^req_[0-9a-f]{32}$/);
  assert.deepEqual(rest, { priority: "owner", principal: "owner", keepAliveMs: 600_000 });
});

Deno.test("ollamaRoutes() gives a model's name back as the client wrote it", async () => {
  const response = await askOllama(new ScriptedAnswers(telling("Hi")), {
    body: chat({ model: "Arkling", stream: false }),
  });
  assert.equal((await response.json()).model, "Arkling");
});

Deno.test("ollamaRoutes() has a conversation gone on with by its context", async () => {
  const answers = new ScriptedAnswers(telling("Good", " day"));
  const ask = (body: Record<string, unknown>) => askOllama(answers, { path: "/api/generate", body });
  const lines = await linesOf(await ask(generate({ system: "Be brief" })));
  assertAnswerLines("generate", lines);
  assert.equal(lines.map(({ response }) => response).join(""), "Good day");
  const { context } = lines.at(-1) ?? {};
  const second = await (await ask(generate({ prompt: "And?", context, stream: false }))).json();
  assertShape("generateDone", second);
  const said = [
    { role: "system", content: "Be brief" },
    { role: "user", content: "Hello" },
    { role: "assistant", content: "Good day" },
    { role: "user", content: "And?" },
  ];
  assert.deepEqual(answers.asked[1]?.request.input, { kind: "chat", messages: said });
  await ask(generate({ prompt: "So?", context: second.context, system: "Be rude", stream: false }));
  assert.deepEqual(answers.asked[2]?.request.input, {
    kind: "chat",
    messages: [
      { role: "system", content: "Be rude" },
      ...said.slice(1),
      { role: "assistant", content: "Good day" },
      { role: "user", content: "So?" },
    ],
  });
  assert.equal((await ask(generate({ context: [1, 2, 3] }))).status, 400);
});

Deno.test("ollamaRoutes() takes raw prompts and gaps as they are", async () => {
  const answers = new ScriptedAnswers(telling("Hi"));
  const ask = (fields: Record<string, unknown>) =>
    askOllama(answers, { path: "/api/generate", body: generate({ stream: false, ...fields }) });
  const raw = await (await ask({ raw: true, prompt: "<s>Hello" })).json();
  assertShape("generateDone", raw);
  assert.equal(raw.context, undefined);
  assert.deepEqual(answers.asked[0]?.request.input, { kind: "completion", prompt: "<s>Hello" });
  await ask({ prompt: "def f(", suffix: "return 1", template: "" });
  assert.deepEqual(answers.asked[1]?.request.input, { kind: "completion", prompt: "def f(", suffix: "return 1" });
  for (
    const wrong of [{ raw: true, system: "x" }, { template: "{{ .Prompt }}" }, { images: ["aGk="] }, { prompt: 1 }]
  ) {
    const refused = await ask(wrong);
    assert.equal(refused.status, 400, JSON.stringify(wrong));
    assertShape("error", await refused.json());
  }
  assert.equal(answers.asked.length, 2);
});

Deno.test("ollamaRoutes() loads and unloads by questions without anything to say", async () => {
  const far = { owner: "attic", local: false };
  const models = [{ id: MODEL, ...far }, { id: MODEL }, { id: "far:1b", ...far }];
  const answers = new ScriptedAnswers(telling("Hi"), models);
  const keeper = new ScriptedKeeper();
  const ask = async (path: string, body: Record<string, unknown>) => {
    const response = await askOllama(answers, { path, body, options: { keeper } });
    assert.equal(response.status, 200);
    const idle = body.stream === false ? await response.json() : (await linesOf(response))[0];
    assertShape(path === "/api/chat" ? "chatIdle" : "generateIdle", idle);
    return idle?.done_reason;
  };
  assert.equal(await ask("/api/chat", { model: "arkling", messages: [] }), "load");
  assert.equal(await ask("/api/generate", { model: MODEL, keep_alive: "1h", stream: false }), "load");
  assert.equal(await ask("/api/generate", { model: MODEL, prompt: "", keep_alive: -1 }), "load");
  assert.equal(await ask("/api/chat", { model: MODEL, keep_alive: 0, stream: false }), "unload");
  assert.equal(await ask("/api/chat", { model: "far" }), "load");
  assert.equal(await ask("/api/generate", { model: "far:1b", keep_alive: "0s" }), "unload");
  const told = keeper.told.map(([act, model, how]) => {
    const { signal, ...rest } = (how ?? {}) as { signal?: AbortSignal };
    assert.equal(signal instanceof AbortSignal, act === "load");
    return act === "load" ? [act, model, rest] : [act, model];
  });
  assert.deepEqual(told, [
    ["load", MODEL, {}],
    ["load", MODEL, { keepAliveMs: 3_600_000 }],
    ["load", MODEL, { keepAliveMs: null }],
    ["unload", MODEL],
  ]);
  assert.deepEqual(answers.asked, []);
  const missing = await askOllama(answers, { body: { model: "none", messages: [] }, options: { keeper } });
  assert.equal(missing.status, 404);
  assert.match((await missing.json()).error, /not found/);
});

Deno.test("ollamaRoutes() lists every model within reach once, and what is in memory here", async () => {
  const digest = "ab".repeat(32);
  const capabilities: ("chat" | "completion" | "tools")[] = ["chat", "completion", "tools"];
  const more = { capabilities, family: "llama", modified_at: "2026-05-01T00:00:00Z" };
  const models = [
    { id: MODEL, digest, ...more },
    { id: MODEL, owner: "attic", local: false },
    { id: "far:8b", owner: "attic", local: false, parameters: "8b", quantization: null, size: 4e9 },
  ];
  const answers = new ScriptedAnswers(telling(), models);
  const keeper = new ScriptedKeeper();
  const memory = { bytes: 7_000_000, vramBytes: 5_000_000, contextSize: 2_048 };
  keeper.inMemory = [
    { id: MODEL, ...memory, expiresAt: Date.UTC(2026, 0, 2) },
    { id: "hidden:1b", ...memory, expiresAt: null },
  ];
  const get = async (path: string) =>
    await (await askOllama(answers, { path, method: "GET", options: { keeper } })).json();
  const tags = await get("/api/tags");
  assertShape("tags", tags);
  const details = { parent_model: "", format: "gguf", parameter_size: "9M", quantization_level: "Q4_0" };
  assert.deepEqual(tags.models[0], {
    name: MODEL,
    model: MODEL,
    modified_at: "2026-05-01T00:00:00Z",
    size: 5_000_000,
    digest,
    details: { ...details, family: "llama", families: ["llama"] },
    capabilities: ["completion", "tools"],
  });
  assert.deepEqual(tags.models.map(({ name }: { name: string }) => name), [MODEL, "far:8b"]);
  assert.deepEqual(tags.models[1].capabilities, ["completion"]);
  const ps = await get("/api/ps");
  assertShape("ps", ps);
  assert.deepEqual(ps.models.map(({ name }: { name: string }) => name), [MODEL]);
  const { size, size_vram, context_length, expires_at } = ps.models[0];
  assert.deepEqual({ size, size_vram, context_length, expires_at }, {
    size: 7_000_000,
    size_vram: 5_000_000,
    context_length: 2_048,
    expires_at: "2026-01-02T00:00:00.000Z",
  });
  keeper.inMemory = [{ id: MODEL, ...memory, expiresAt: null }];
  assert.ok(new Date((await get("/api/ps")).models[0].expires_at).getFullYear() > 2_200);
});

Deno.test("ollamaRoutes() shows what is known of a model, here and elsewhere", async () => {
  const answers = new ScriptedAnswers(telling(), [{ id: MODEL }, {
    id: "far:8b",
    local: false,
    context_length: 4_096,
  }]);
  const options = { keeper: new ScriptedKeeper() };
  const show = async (body: Record<string, unknown>) => {
    const response = await askOllama(answers, { path: "/api/show", body, options });
    return { status: response.status, body: await response.json() };
  };
  for (const body of [{ model: "arkling" }, { name: MODEL }, { model: "arkling:latest", verbose: true }]) {
    const here = await show(body);
    assertShape("show", here.body);
    assert.deepEqual(here.body.model_info, {
      "general.architecture": "llama",
      "general.parameter_count": 9_000_000,
      "llama.context_length": 1_024,
      "llama.rope.freq_base": 0.5,
      "tokenizer.ggml.add_bos_token": true,
    });
    const lines = here.body.parameters.split("\n").map((line: string) => line.split(/\s+/));
    assert.deepEqual(lines, [["num_predict", "12"], ["temperature", "0.7"], ["stop", '"<end>"'], ["stop", '"\\""']]);
    assert.match(here.body.modelfile, /^FROM arkling:9m-q4_0$/m);
    assert.equal(here.body.details.family, "llama");
    assert.deepEqual([here.body.license, here.body.system], ["apache-2.0", "Be kind"]);
    assert.match(here.body.modelfile, /^SYSTEM """Be kind"""$/m);
  }
  const far = await show({ model: "far" });
  assertShape("show", far.body);
  assert.deepEqual(far.body.model_info, { "general.architecture": "unknown", "unknown.context_length": 4_096 });
  const missing = await show({ model: "none" });
  assert.equal(missing.status, 404);
  assert.match(missing.body.error, /not found/);
});

Deno.test("ollamaRoutes() says that Ollama runs, and which one's API this is", async () => {
  const answers = new ScriptedAnswers(telling());
  for (const method of ["GET", "HEAD"]) {
    const response = await askOllama(answers, { path: "/", method });
    assert.equal(response.status, 200);
    assert.equal(await response.text(), method === "GET" ? "Ollama is running" : "");
  }
  const version = await (await askOllama(answers, { path: "/api/version" })).json();
  assertShape("version", version);
});

Deno.test("ollamaRoutes() tells how a model comes, to the end or to what went wrong", async () => {
  const answers = new ScriptedAnswers(telling());
  const options = { keeper: new ScriptedKeeper() };
  const pull = (body: Record<string, unknown>) => askOllama(answers, { path: "/api/pull", body, options });
  const lines = await linesOf(await pull({ name: "new:1b", insecure: false }));
  for (const line of lines) assertShape("progress", line);
  assert.deepEqual(lines.map(({ status }) => status), ["pulling manifest", "pulling 49fe5a9def0a", "success"]);
  assert.deepEqual(await (await pull({ model: "new:1b", stream: false })).json(), { status: "success" });
  const broken = await linesOf(await pull({ model: "broken" }));
  assert.deepEqual(broken.at(-1), { error: "The registry cannot be reached" });
  const whole = await pull({ model: "broken", stream: false });
  assert.equal(whole.status, 503);
  assertShape("error", await whole.json());
});

Deno.test("ollamaRoutes() removes and renames models, and makes none", async () => {
  const answers = new ScriptedAnswers(telling());
  const keeper = new ScriptedKeeper();
  const ask = (path: string, body: unknown, method = "POST") =>
    askOllama(answers, { path, body, method, options: { keeper } });
  const removed = await ask("/api/delete", { name: "a:1b" }, "DELETE");
  assert.deepEqual([removed.status, await removed.text()], [200, ""]);
  assert.equal((await ask("/api/delete", { model: "other" }, "DELETE")).status, 404);
  const copied = await ask("/api/copy", { source: "a:1b", destination: "mine" });
  assert.deepEqual([copied.status, await copied.text()], [200, ""]);
  assert.deepEqual(await linesOf(await ask("/api/create", { model: "yours", from: "a:1b" })), [{ status: "success" }]);
  assert.deepEqual(keeper.told, [
    ["remove", "a:1b"],
    ["remove", "other"],
    ["copy", "a:1b", "mine"],
    ["copy", "a:1b", "yours"],
  ]);
  const refused: [string, unknown, number][] = [
    ["/api/create", { model: "x", from: "a:1b", system: "Be rude" }, 501],
    ["/api/create", { model: "x", files: { "a.gguf": "sha256:ab" } }, 501],
    ["/api/copy", { source: "a:1b" }, 400],
    ["/api/push", { model: "a:1b" }, 501],
    ["/api/blobs/sha256:ab", "bytes", 501],
  ];
  for (const [path, body, status] of refused) {
    const response = await ask(path, body);
    assert.equal(response.status, status, path);
    assertShape("error", await response.json());
  }
  assert.equal((await askOllama(answers, { path: "/api/blobs/sha256:ab", method: "HEAD" })).status, 404);
});

Deno.test("ollamaRoutes() says what a node without a keeper cannot do", async () => {
  const answers = new ScriptedAnswers(telling(), [{ id: MODEL }]);
  const acts: [string, unknown][] = [
    ["/api/pull", { model: "x" }],
    ["/api/copy", { source: "a", destination: "b" }],
    ["/api/create", { model: "b", from: "a" }],
  ];
  for (const [path, body] of acts) {
    const response = await askOllama(answers, { path, body });
    assert.equal(response.status, 501);
    assertShape("error", await response.json());
  }
  assert.equal((await askOllama(answers, { path: "/api/ps" })).status, 200);
  assert.equal((await askOllama(answers, { path: "/api/show", body: { model: MODEL } })).status, 200);
});

Deno.test("ollamaRoutes() answers every failure with a text, and the status that Ollama has for it", async () => {
  const statuses: [ArkError, number][] = [
    [new ArkError("bad_request", "Wrong"), 400],
    [new ArkError("context_exceeded", "Too long"), 400],
    [new ArkError("unauthenticated", "Who?"), 401],
    [new ArkError("model_not_shared", "Not yours"), 403],
    [new ArkError("model_not_found", "Nobody has it"), 404],
    [new ArkError("engine_failed", "Broken"), 500],
    [new ArkError("busy", "Full", { retryAfterSeconds: 3 }), 503],
    [new ArkError("unavailable", "Gone"), 503],
  ];
  for (const [failure, status] of statuses) {
    for (const stream of [true, false]) {
      const response = await askOllama(new ScriptedAnswers(failing(failure)), { body: chat({ stream }) });
      assert.equal(response.status, status);
      assert.match(response.headers.get("content-type") ?? "", /application\/json/);
      const body = await response.json();
      assertShape("error", body);
      assert.ok(body.error.endsWith(failure.message));
      assert.equal(response.headers.get("retry-after"), failure.code === "busy" ? "3" : null);
    }
  }
  const odd: [Parameters<typeof askOllama>[1], number][] = [
    [{ body: "{" }, 400],
    [{ body: "[]" }, 400],
    [{ body: {} }, 400],
    [{ body: "x".repeat((16 << 20) + 1) }, 413],
    [{ path: "/api/chat", method: "GET" }, 405],
    [{ path: "/api/tags", body: {} }, 405],
    [{ path: "/api/delete", body: {} }, 405],
    [{ path: "/api/nothing" }, 404],
    [{ path: "/api/web_search", body: {} }, 404],
  ];
  for (const [request, status] of odd) {
    const response = await askOllama(new ScriptedAnswers(telling("Hi")), request);
    assert.equal(response.status, status, request.path);
    assertShape("error", await response.json());
  }
});

Deno.test("ollamaRoutes() ends a stream that fails with an error and without a line that is done", async () => {
  const text: InferenceEvent = { type: "text", text: "Hi", tokens: 1 };
  const broken: unknown[] = [new ArkError("unavailable", "The peer is gone"), undefined, new Error("a fault")];
  for (const error of broken) {
    const lines = await linesOf(await askOllama(new ScriptedAnswers(failing(error, [START, text])), { body: chat() }));
    assert.equal(lines.length, 2);
    assertShape("chatPart", lines[0]);
    assertShape("error", lines[1]);
    const whole = await askOllama(new ScriptedAnswers(failing(error, [START, text])), {
      body: chat({ stream: false }),
    });
    assert.ok(whole.status >= 500);
    assert.equal(whole.headers.get("x-should-retry"), "false");
  }
});

Deno.test("ollamaRoutes() reads any type of body but from a page, since curl and Ollama's own programs send others", async () => {
  const answers = new ScriptedAnswers(telling("Hi"));
  const body = chat({ stream: false });
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/json"]) {
    const response = await askOllama(answers, { body, headers: { "content-type": type } });
    assert.equal(response.status, 200, type);
  }
  const pages: HeadersInit[] = [
    { origin: "http://evil.test" },
    { referer: "http://evil.test/" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-origin" },
  ];
  for (const page of pages) {
    const refused = await askOllama(answers, { body, headers: { ...page, "content-type": "text/plain" } });
    assert.equal(refused.status, 415, JSON.stringify(page));
    assertShape("error", await refused.json());
    const asked = await askOllama(answers, { body, headers: { ...page, "content-type": "application/json" } });
    assert.equal(asked.status, 200, JSON.stringify(page));
  }
});

Deno.test("ollamaRoutes() sends no line break inside a line, by Unicode's idea of one either", async () => {
  const text = "a\u2028b\u2029c\u0085d\ne\u000bf";
  const lines = await linesOf(await askOllama(new ScriptedAnswers(telling(text)), { body: chat() }));
  assert.equal((lines[0]?.message as { content: string }).content, text);
});
