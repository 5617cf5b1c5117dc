/** What of a peer's request reaches the engine, on the real route with the real decoder. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { LIMITS } from "@ark/node/protocol";
import { almost, anyJson } from "../protocol/json_values.ts";
import { MeshPeer } from "./mesh_peer.ts";
import { FIXTURES, MODEL, TestNode } from "./test_node.ts";

const LONG = Deno.env.get("ARK_LONG") === "1";

/** What the worker is told of a request, and nothing else: in the order of the protocol's own fields. */
const MESSAGE_FIELDS = ["type", "id", "input", "parameters", "principal", "ids", "resume"];
const RANGES: Record<string, readonly [number, number]> = {
  max_tokens: [1, LIMITS.peerMaxTokens],
  temperature: [0, 2],
  top_p: [0, 1],
  top_k: [0, 1_000_000],
  min_p: [0, 1],
  typical_p: [0, 1],
  repeat_last_n: [0, 8_192],
  logprobs: [0, LIMITS.topLogprobs],
  seed: [-0x80000000, 0xffffffff],
  frequency_penalty: [-2, 2],
  presence_penalty: [-2, 2],
  repeat_penalty: [1, 2],
};

const WHOLE = {
  model: MODEL,
  input: { kind: "chat", messages: [{ role: "system", content: "Be brief" }, { role: "user", content: "one two" }] },
  parameters: {
    max_tokens: 1e5,
    temperature: 0.5,
    top_p: 0.9,
    top_k: 40,
    min_p: 0.05,
    seed: 7,
    stop: ["###"],
    frequency_penalty: 0,
    presence_penalty: 0,
    repeat_penalty: 1.1,
  },
};

/** Names that reload, evict or reconfigure a model somewhere, read what is another's, or cost without a bound. */
const HARMFUL: Record<string, unknown> = {
  num_ctx: 1 << 20,
  num_gpu: 0,
  num_thread: 512,
  num_batch: 1 << 16,
  num_keep: -1,
  num_predict: 1e9,
  main_gpu: 9,
  low_vram: true,
  use_mmap: false,
  use_mlock: true,
  numa: true,
  keep_alive: -1,
  options: { num_ctx: 1 << 20 },
  context: [1, 2, 3],
  raw: true,
  template: "{{ .Prompt }}",
  system: "You obey",
  suffix: "end",
  images: ["AAAA"],
  format: "json",
  think: true,
  lora: [{ id: 0, scale: 9 }],
  lora_path: "/etc/passwd",
  adapter: "x",
  control_vector: "x",
  id_slot: 0,
  slot_id: 0,
  cache_prompt: true,
  cache_salt: "owner",
  n_cache_reuse: 1,
  n_ctx: 1 << 20,
  n_gpu_layers: 0,
  n_batch: 1,
  n_threads: 512,
  n_predict: -1,
  n_probs: 1e6,
  n_keep: -1,
  n_discard: 1,
  n: 100,
  best_of: 100,
  logprobs: 1e6,
  top_logprobs: 1e6,
  logit_bias: { "1": 100 },
  grammar: "root ::= root root",
  json_schema: { type: "object" },
  response_format: { type: "json_object" },
  guided_json: {},
  guided_regex: "(a+)+b",
  tools: [],
  tool_choice: "auto",
  functions: [],
  samplers: ["top_k"],
  mirostat: 2,
  typical_p: 1,
  ignore_eos: true,
  min_tokens: 1e6,
  max_completion_tokens: 1e9,
  model_path: "/etc/passwd",
  mmproj: "/etc/passwd",
  draft_model: "x",
  traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  tracestate: "vendor=secret",
  trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  baggage: "user=Ann",
  user: "Ann",
  metadata: { session: 1 },
  priority: "owner",
  principal: "owner",
  reuse: true,
  load: { path: "/etc/passwd" },
  type: "load",
  __proto__x: {},
  constructor: { prototype: {} },
};

/** The protocol's own names: of a request, of its parameters, and of a chat. */
const ALLOWED = [
  new Set<string>(),
  new Set(["logprobs", "logit_bias", "format", "lora", "typical_p"]),
  new Set(["tools", "tool_choice", "think"]),
];

/** Everything that the worker was told since the last call. */
function follow(node: TestNode): () => Record<string, unknown>[] {
  let seen = 0;
  return () => {
    const lines = node.workerLog().split("\n").filter(Boolean).map((line) => JSON.parse(line));
    const news = lines.slice(seen);
    seen = lines.length;
    return news;
  };
}

/** Fails where a message of the node to its worker holds more than a peer may cause. */
function assertAllowed(message: Record<string, unknown>): void {
  if (message.type !== "generate") {
    assert.ok(["fake:start", "fake:over", "load", "cancel"].includes(String(message.type)), String(message.type));
    return;
  }
  assert.deepEqual(Object.keys(message).filter((name) => !MESSAGE_FIELDS.includes(name)), []);
  const { stop, ...numbers } = message.parameters as Record<string, unknown>;
  for (const [name, value] of Object.entries(numbers)) {
    const [least, most] = RANGES[name] ?? assert.fail(`The worker was told ${name}`);
    assert.ok(typeof value === "number" && value >= least && value <= most, `${name} is ${value}`);
  }
  assert.ok(numbers.max_tokens !== undefined, "A peer never gets as many tokens as it likes");
  const stops = (stop ?? []) as unknown[];
  assert.ok(stops.length <= LIMITS.stops);
  assert.ok(stops.every((one) => typeof one === "string" && one.length <= LIMITS.stopLength));
  const input = message.input as { kind: string; messages?: Record<string, unknown>[]; prompt?: unknown };
  if (input.kind === "completion") {
    assert.deepEqual(Object.keys(input).sort(), ["kind", "prompt"]);
    assert.equal(typeof input.prompt, "string");
  } else {
    assert.deepEqual(Object.keys(input).sort(), ["kind", "messages"]);
    for (const one of input.messages ?? []) {
      assert.deepEqual(Object.keys(one).sort(), ["content", "role"]);
      assert.ok(["system", "user", "assistant"].includes(String(one.role)) && typeof one.content === "string");
    }
  }
}

Deno.test("T36: Whatever a peer sends, the engine is told allowed fields within their limits and nothing else", async () => {
  await using b = await TestNode.start({ name: "B", models: [FIXTURES] });
  await using peer = new MeshPeer(b.daemon.id, b.daemon.mesh);
  await b.approve(peer, { max_concurrent_requests: 100 });
  const news = follow(b);
  let [taken, refused] = [0, 0];
  // Short answers, so that the many of them take no time: a number that is spoilt is spoilt all the same.
  const short = { ...WHOLE, parameters: { ...WHOLE.parameters, max_tokens: 3 } };
  const value = fc.oneof({ weight: 5, arbitrary: almost(short) }, { weight: 1, arbitrary: anyJson() });
  await fc.assert(
    fc.asyncProperty(value, async (question) => {
      const { status, code } = await peer.ask(question);
      if (status === 200) taken++;
      else {
        refused++;
        assert.match(code ?? "", /^ark_(bad_request|model_not_shared|model_not_found|context_exceeded)$/);
      }
      for (const message of news()) assertAllowed(message);
    }),
    { numRuns: LONG ? 20_000 : 150 },
  );
  assert.ok(taken > 5 && refused > 50, `${taken} taken, ${refused} refused`);
  assert.equal((await peer.ask(WHOLE)).status, 200);
  const [asked] = news().filter(({ type }) => type === "generate");
  assert.deepEqual(asked?.parameters, { ...WHOLE.parameters, max_tokens: LIMITS.peerMaxTokens });
});

Deno.test("T37: No name that reloads, evicts or reconfigures a model passes, and the owner's model stays in memory", async () => {
  await using b = await TestNode.start({ name: "B", models: [FIXTURES] });
  await using peer = new MeshPeer(b.daemon.id, b.daemon.mesh);
  await b.approve(peer);
  const own = await b.chat({ model: MODEL, max_tokens: 1 });
  await own.body?.cancel();
  const [before] = b.daemon.engine?.backend.loaded() ?? [];
  assert.ok(before !== undefined);
  const news = follow(b);
  news();
  const names = Object.entries(HARMFUL);
  assert.ok(names.length >= 60);
  const tries = LONG ? 1_000 : 3 * names.length;
  for (let round = 0; round < tries; round++) {
    const [name, value] = names[round % names.length] ?? assert.fail();
    const place = Math.floor(round / names.length) % 3;
    const question = structuredClone(WHOLE);
    const target = [question, question.parameters, question.input][place] ?? assert.fail();
    // A few of these names are the protocol's own elsewhere, with limits of their own.
    if (ALLOWED[place]?.has(name)) continue;
    Object.defineProperty(target, name, { value, enumerable: true });
    const { status, code, message } = await peer.ask(question);
    assert.deepEqual([status, code], [400, "ark_bad_request"], name);
    assert.match(message ?? "", /has an unknown field/);
  }
  assert.deepEqual(news(), [], "The engine heard nothing of it");
  const [after] = b.daemon.engine?.backend.loaded() ?? [];
  assert.ok(after !== undefined);
  // Each look reckons anew when it leaves, from two clocks; a name that had an effect would move that by minutes.
  assert.ok(Math.abs((after.expiresAt ?? 0) - (before.expiresAt ?? 0)) < 1_000);
  assert.deepEqual({ ...after, expiresAt: 0 }, { ...before, expiresAt: 0 });
  assert.equal((await peer.ask({ ...WHOLE, parameters: { max_tokens: 2 } })).status, 200);
});
