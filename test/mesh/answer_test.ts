import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { auditOf, FIXTURES, MODEL, Pair, readStream, TestNode } from "./test_node.ts";

Deno.test("A question for a model that only the other node has is answered by it, streamed or whole", async () => {
  await using pair = await Pair.start();
  const { a, b } = pair;

  const whole = await a.chat({ model: MODEL, max_tokens: 5 });
  assert.equal(whole.status, 200);
  assert.equal(whole.headers.get("x-ark-node"), "B");
  assert.equal(whole.headers.get("x-ark-route"), "peer");
  assert.match(whole.headers.get("x-ark-reason") ?? "", /^peer: only this one within reach has the model/);
  const { choices, usage } = await whole.json();
  assert.equal(choices[0].message.content, "w0 w1 w2 w3 w4");
  assert.deepEqual(usage, {
    prompt_tokens: 3,
    completion_tokens: 5,
    total_tokens: 8,
    prompt_tokens_details: { cached_tokens: 0 },
  });

  const streamed = await readStream(await a.chat({ model: MODEL, max_tokens: 5, stream: true }));
  assert.deepEqual(streamed, { text: "w0 w1 w2 w3 w4", done: true, error: null });

  const completion = await fetch(`${a.api}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: MODEL, prompt: "one two", max_tokens: 2 }),
  });
  assert.equal((await completion.json()).choices[0].text, "w0 w1");

  await until(() => auditOf(a).length >= 7 && auditOf(b).length >= 7);
  for (const [node, other, direction] of [[a, b, "out"], [b, a, "in"]] as const) {
    const entries = auditOf(node).filter(({ peer, direction: way }) => peer === other.daemon.id && way === direction);
    assert.deepEqual(entries.map(({ kind }) => kind), ["start", "end", "start", "end", "start", "end"]);
    const ends = entries.filter(({ kind }) => kind === "end");
    assert.deepEqual(ends.map((entry) => entry.completion_tokens), [5, 5, 2]);
    assert.ok(ends.every(({ outcome, model, ms }) => outcome === "ok" && model === MODEL && Number(ms) > 0));
  }
  // Both sides hold the same evidence: the hash of the request's signature and that of the receipt.
  const evidence = (node: typeof a) =>
    auditOf(node).filter(({ kind }) => kind === "end").map(({ request, receipt }) => [request, receipt]);
  assert.deepEqual(evidence(a), evidence(b));
  for (const node of [a, b]) assert.ok((await node.admin("/audit/verify")).body.ok);
});

Deno.test("Only model, messages and parameters reach the peer's worker", async () => {
  await using pair = await Pair.start();
  const { a, b } = pair;
  const response = await a.chat({
    model: MODEL,
    max_tokens: 2,
    temperature: 0.5,
    user: "canary-user",
    metadata: { session: "canary-metadata" },
    store: false,
    unheard_of: "canary-unknown",
    messages: [{ role: "user", name: "canary-name", content: "one" }],
  }, {
    headers: { authorization: "Bearer canary-key", "user-agent": "canary-agent", "x-session": "canary-header" },
  });
  assert.equal(response.status, 200);
  await response.body?.cancel();
  const told = b.workerLog();
  assert.match(told, /"one"/);
  assert.doesNotMatch(told, /canary/);
  const answer = told.split("\n").filter(Boolean).map((line) => JSON.parse(line)).find(({ type }) =>
    type === "generate"
  );
  assert.deepEqual(Object.keys(answer?.parameters ?? {}).sort(), ["max_tokens", "temperature"]);
});

Deno.test("A peer gets no more tokens than the limit for peers", async () => {
  await using pair = await Pair.start();
  const response = await pair.a.chat({ model: MODEL });
  assert.equal(response.status, 200);
  await response.body?.cancel();
  assert.match(pair.b.workerLog(), /"max_tokens":2048/);
});

Deno.test("GET /v1/models merges the models of peers, and a model that nobody has is a 404 that names them", async () => {
  await using pair = await Pair.start();
  const { data } = await (await fetch(`${pair.a.api}/v1/models`)).json();
  assert.deepEqual(data.map(({ id, owned_by }: Record<string, unknown>) => [id, owned_by]), [[MODEL, "B"]]);
  const response = await pair.a.chat({ model: "llama9:900b" });
  assert.equal(response.status, 404);
  const { error } = await response.json();
  assert.equal(error.code, "model_not_found");
  assert.match(error.message, /llama9:900b.*arkling:9m-q4_0/);
});

Deno.test("Who stops reading stops the generation on the other node", async () => {
  await using pair = await Pair.start();
  const { a, b } = pair;
  const stop = new AbortController();
  const response = await a.chat({
    model: MODEL,
    stream: true,
    max_tokens: 2_000,
    messages: [{ role: "user", content: "#slow=20" }],
  }, { signal: stop.signal });
  const reader = response.body?.getReader();
  await reader?.read();
  await reader?.read();
  stop.abort();
  await until(() => b.workerLog().includes('"cancelled":true'));
  await until(() => auditOf(b).some(({ kind, outcome }) => kind === "end" && outcome === "cancelled"));
  await until(() => auditOf(a).some(({ kind, outcome }) => kind === "end" && outcome === "cancelled"));
  // The slot is free again.
  const next = await a.chat({ model: MODEL, max_tokens: 1 });
  assert.equal(next.status, 200);
  await next.body?.cancel();
});

Deno.test("A peer sees and gets only what is shared with it", async () => {
  await using b = await TestNode.start({ name: "B", models: [FIXTURES] });
  await using a = await TestNode.start({ name: "A", peers: [b.mesh] });
  await a.approve({ publicKey: b.publicKey, name: "B" });
  await b.approve({ publicKey: a.publicKey, name: "A" }, { models_shared: ["llama*"] });
  await until(async () => (await a.admin<Status>("/peers/status")).body.peers[0]?.state === "ready");
  assert.deepEqual((await a.admin<Status>("/peers/status")).body.peers[0]?.models, []);
  const response = await a.chat({ model: MODEL });
  assert.equal(response.status, 404);
  await response.body?.cancel();
  assert.equal(b.workerLog(), "");
});

interface Status {
  peers: { state: string; models: string[] }[];
}
