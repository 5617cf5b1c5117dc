/** Traces of two whole nodes at a real collector, and what of them peers can cause or learn. */
import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { type CollectedSpan, Collector, valuesOf } from "../support/trace_collector.ts";
import { MeshPeer, question } from "./mesh_peer.ts";
import { FIXTURES, MODEL, TestNode } from "./test_node.ts";

const SECRET = "zebra-lighthouse-secret";

async function ask(node: TestNode, fields: Record<string, string> = {}): Promise<Response> {
  const response = await fetch(`${node.api}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...fields },
    body: JSON.stringify({ model: MODEL, prompt: SECRET, max_tokens: 4 }),
  });
  await response.text();
  return response;
}

/** Two nodes that approved each other; the first one has no model. */
async function pair(traced: { a?: string; b?: string }): Promise<{ a: TestNode; b: TestNode } & AsyncDisposable> {
  await using opened = new AsyncDisposableStack();
  const flags = (url: string | undefined) => url === undefined ? {} : { flags: { "trace-endpoint": url } };
  const b = opened.use(await TestNode.start({ name: "B", models: [FIXTURES], ...flags(traced.b) }));
  const a = opened.use(await TestNode.start({ name: "A", peers: [b.mesh], ...flags(traced.a) }));
  await a.approve({ publicKey: b.publicKey, name: "B" });
  await b.approve({ publicKey: a.publicKey, name: "A" });
  await until(async () => {
    const { body } = await a.admin<{ peers: { state: string }[] }>("/peers/status");
    return body.peers.some(({ state }) => state === "ready");
  });
  const resources = opened.move();
  return { a, b, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

function named(spans: CollectedSpan[], name: string): CollectedSpan {
  return spans.find((span) => span.name === name) ?? assert.fail(`There is no span ${name}`);
}

Deno.test("One trace goes through both nodes: request, attempt, what the peer serves and what its engine did", async () => {
  await using collector = new Collector();
  await using nodes = await pair({ a: collector.url, b: collector.url });
  const response = await ask(nodes.a);
  assert.deepEqual([response.status, response.headers.get("x-ark-route")], [200, "peer"]);
  await until(() =>
    Promise.resolve(
      ["request", "attempt peer", "serve"].every((name) => collector.spans.some((span) => span.name === name)),
    )
  );
  const { spans } = collector;
  assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, 1, "One trace");
  const [request, attempt, serve] = ["request", "attempt peer", "serve"].map((name) => named(spans, name));
  assert.equal(request?.parentSpanId, undefined);
  assert.equal(attempt?.parentSpanId, request?.spanId);
  assert.equal(serve?.parentSpanId, attempt?.spanId);
  for (const part of ["prompt", "generation"]) assert.equal(named(spans, part).parentSpanId, serve?.spanId);
  assert.ok(spans.every(({ status }) => status.code === 1));
  const owners = new Map(
    collector.posts.flatMap((post) => post.spans.map(({ name }) => [name, post.resource["ark.name"]])),
  );
  assert.deepEqual([owners.get("attempt peer"), owners.get("serve")], ["A", "B"]);
  const known = valuesOf(request?.attributes ?? []);
  assert.equal(known["gen_ai.request.model"], MODEL);
  assert.equal(known["ark.request"], response.headers.get("x-request-id"));
  assert.equal(known["gen_ai.usage.output_tokens"], "4");
  assert.ok(collector.posts.every(({ text }) => !text.includes(SECRET)), "No text of a prompt");
});

Deno.test("A second request is a trace of its own, also where an app sends the same traceparent with both", async () => {
  await using collector = new Collector();
  await using nodes = await pair({ a: collector.url, b: collector.url });
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  for (let i = 0; i < 2; i++) await ask(nodes.a, { traceparent });
  await until(() => Promise.resolve(collector.spans.filter(({ name }) => name === "serve").length === 2));
  const traces = new Set(collector.spans.filter(({ name }) => name === "serve").map(({ traceId }) => traceId));
  assert.equal(traces.size, 2, "What a peer is told does not say which requests belong together");
  assert.ok(!traces.has("4bf92f3577b34da6a3ce929d0e0e4736"));
});

Deno.test("Without --trace-endpoint a node makes no span, sends none, and tells no peer of one", async () => {
  await using collector = new Collector();
  await using nodes = await pair({ b: collector.url });
  assert.equal((await ask(nodes.a)).status, 200);
  await until(() => Promise.resolve(collector.spans.some(({ name }) => name === "serve")));
  assert.deepEqual(new Set(collector.posts.map(({ resource }) => resource["ark.name"])), new Set(["B"]));
  assert.equal(named(collector.spans, "serve").parentSpanId, undefined, "A told B of no trace");

  await using others = await pair({ a: collector.url });
  const before = collector.posts.length;
  assert.equal((await ask(others.a)).status, 200);
  await until(() => Promise.resolve(collector.posts.length > before));
  const since = collector.posts.slice(before);
  assert.deepEqual(new Set(since.map(({ resource }) => resource["ark.name"])), new Set(["A"]));
  assert.ok(since.flatMap(({ spans }) => spans).every(({ name }) => name !== "serve"), "B traces nothing by itself");
});

Deno.test("A stranger's traceparent is ignored, and so is one that is none", async () => {
  await using collector = new Collector();
  await using b = await TestNode.start({ name: "B", models: [FIXTURES], flags: { "trace-endpoint": collector.url } });
  await using stranger = new MeshPeer(b.daemon.id, b.daemon.mesh);
  await using friend = new MeshPeer(b.daemon.id, b.daemon.mesh);
  await b.approve({ publicKey: friend.publicKey, name: "friend" });
  const send = (peer: MeshPeer, query: string) =>
    peer.client.request({ id: b.daemon.id, addresses: [b.daemon.mesh] }, {
      method: "POST",
      path: `/ark/v1/infer${query}`,
      body: JSON.stringify(question(MODEL, SECRET, { max_tokens: 2 })),
      deadlineMs: 30_000,
    });
  const [trace, span] = ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"];
  await assert.rejects(send(stranger, `?traceparent=00-${trace}-${span}-01`), { code: "unauthenticated" });
  const hostile = [
    `?traceparent=00-${trace}-${span}-00`,
    `?traceparent=01-${trace}-${span}-01`,
    `?traceparent=${"a".repeat(4_000)}`,
    `?traceparent=00-${"0".repeat(32)}-${span}-01`,
    `?tracestate=x&traceparent=`,
    `?traceparent=x&traceparent=00-${trace}-${span}-01`,
  ];
  for (const query of hostile) {
    const { status, body } = await send(friend, query);
    await new Response(body as ReadableStream).text();
    assert.equal(status, 200, query);
  }
  const last = await send(friend, `?traceparent=00-${trace}-${span}-01`);
  await new Response(last.body as ReadableStream).text();
  await until(() =>
    Promise.resolve(collector.spans.filter(({ name }) => name === "serve").length === hostile.length + 1)
  );
  const serves = collector.spans.filter(({ name }) => name === "serve");
  assert.deepEqual(serves.filter(({ traceId }) => traceId === trace).map(({ parentSpanId }) => parentSpanId), [span]);
  assert.equal(serves.filter(({ parentSpanId }) => parentSpanId === undefined).length, hostile.length);
  assert.ok(!b.workerLog().includes(trace), "The engine is told of no trace");
});

Deno.test("A collector that is gone, or answers nothing, holds no request up", async () => {
  await using nodes = await pair({ a: "http://127.0.0.1:1", b: "http://127.0.0.1:1" });
  for (let i = 0; i < 3; i++) assert.equal((await ask(nodes.a)).status, 200);
  await until(async () => {
    const metrics = await (await fetch(`${nodes.a.api}/metrics`)).text();
    return /ark_trace_spans_total\{outcome="dropped"\} [1-9]/.test(metrics);
  });
});
