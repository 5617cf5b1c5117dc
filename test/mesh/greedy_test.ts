/** Peers that want more than their share: real transport, real gate, and an engine that counts. */
import assert from "node:assert/strict";
import { generateIdentity, type NodeId } from "@ark/node/identity";
import type { Backend, InferOptions } from "@ark/node/inference";
import { type ApprovedPeer, decodeApproval, Gate, Usage } from "@ark/node/peers";
import type { InferenceEvent, InferenceRequest } from "@ark/node/protocol";
import { Denials, meshApp } from "@ark/node/http";
import { Events, Logger, Metrics } from "@ark/node/telemetry";
import { listenMesh, type MeshListener } from "@ark/node/transport";
import { fakeModel, until } from "../inference/local_fixture.ts";
import { MeshPeer, question } from "./mesh_peer.ts";

const LONG = Deno.env.get("ARK_LONG") === "1";
const MODEL = "tiny:1b";

/** Answers as many at once as it is asked to, and counts by whom. */
class CountingBackend implements Backend {
  readonly name = "counting";
  readonly running = new Map<NodeId, number>();
  readonly most = new Map<NodeId, number>();
  readonly tokens = new Map<NodeId, number>();

  handles(): boolean {
    return true;
  }

  loaded() {
    return [];
  }

  async *infer(request: InferenceRequest, { principal, signal }: InferOptions): AsyncGenerator<InferenceEvent> {
    const running = (this.running.get(principal) ?? 0) + 1;
    this.running.set(principal, running);
    this.most.set(principal, Math.max(running, this.most.get(principal) ?? 0));
    const spend = (tokens: number) => this.tokens.set(principal, (this.tokens.get(principal) ?? 0) + tokens);
    try {
      const prompt_tokens = request.input.kind === "completion" ? String(request.input.prompt).split(" ").length : 1;
      yield { type: "start", model: MODEL, digest: null, prompt_tokens };
      spend(prompt_tokens);
      const count = Math.min(20, request.parameters.max_tokens ?? Infinity);
      for (let token = 0; token < count; token++) {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
        signal.throwIfAborted();
        spend(1);
        yield { type: "text", text: "w ", tokens: 1 };
      }
      const timings = { queue_ms: 0, load_ms: 0, prompt_ms: 0, generation_ms: 0 };
      const usage = { prompt_tokens, completion_tokens: count };
      yield { type: "end", finish_reason: "length", usage, timings };
    } finally {
      this.running.set(principal, (this.running.get(principal) ?? 0) - 1);
    }
  }
}

/** A node of which only the side for peers is there. */
class GreedyScene implements AsyncDisposable {
  readonly backend = new CountingBackend();
  readonly book = new Map<NodeId, ApprovedPeer>();
  readonly usage = new Usage();
  readonly gate = new Gate(this.book, this.usage);
  readonly identity = generateIdentity();
  readonly #app = meshApp({
    identity: this.identity,
    name: "N",
    peers: this.book,
    gate: this.gate,
    audit: { append: () => Promise.resolve({} as never) },
    denials: new Denials({
      audit: { append: () => Promise.resolve({} as never) },
      counter: new Metrics().counter("denials_total", "Denials.", ["code"]),
      logger: new Logger({ write() {} }),
    }),
    engine: {
      backend: this.backend,
      catalogue: { find: (ref) => ref === MODEL ? fakeModel(MODEL) : undefined, list: () => [fakeModel(MODEL)] },
    },
    contextSize: 1_000,
    accepting: () => true,
    asked() {},
    logger: new Logger({ write() {} }),
    events: new Events(),
  });
  #listener: MeshListener | null = null;

  static async start(): Promise<GreedyScene> {
    const scene = new GreedyScene();
    scene.#listener = await listenMesh({
      identity: scene.identity,
      hostname: "127.0.0.1",
      port: 0,
      standing: (id) => scene.book.has(id) ? "approved" : "unknown",
      handler: (request, caller) => scene.#app.fetch(request, caller),
      limits: { burstPerSource: 10_000, strangersPerSource: 10_000, connectionsPerSource: 10_000 },
    });
    return scene;
  }

  peer(permissions: Record<string, unknown>): MeshPeer {
    const peer = new MeshPeer(this.identity.id, this.#listener ?? assert.fail());
    const all = { can_request_inference: true, models_shared: ["*"], ...permissions };
    const approval = { public_key: peer.publicKey, permissions: all };
    this.book.set(peer.identity.id, decodeApproval(approval, new Date().toISOString()));
    return peer;
  }

  /** Waits until nothing runs and nothing is held of anybody. */
  async settled(): Promise<void> {
    await this.#app.settled();
    await until(() => this.backend.running.values().every((count) => count === 0));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener?.[Symbol.asyncDispose]();
    await this.settled();
  }
}

/** Asks, and perhaps leaves somewhere on the way; says whether it was admitted. */
async function askAndPerhapsLeave(peer: MeshPeer): Promise<boolean> {
  const gone = new AbortController();
  const timer = Math.random() < 0.4 ? setTimeout(() => gone.abort(), Math.random() * 60) : undefined;
  try {
    const response = await peer.open(question(MODEL, "one two three four"), gone.signal);
    if (response.status !== 200) {
      await response.body.cancel();
      return false;
    }
    for await (const chunk of response.body) {
      if (chunk.length > 0 && Math.random() < 0.02) break;
    }
    return true;
  } catch {
    return true;
  } finally {
    clearTimeout(timer);
  }
}

Deno.test("T38: Five peers with twenty requests each at once are never above a limit, and hold nothing at the end", async () => {
  await using scene = await GreedyScene.start();
  await using stack = new AsyncDisposableStack();
  const limits = [1, 2, 3, 4, 5].map((most) => ({
    max_concurrent_requests: most,
    max_requests_per_minute: 40 * most,
    max_tokens_per_day: 2_000 * most,
  }));
  const peers = limits.map((each) => stack.use(scene.peer(each)));
  const until = performance.now() + (LONG ? 3_600_000 : 4_000);
  // A busy machine takes longer until there was enough to go wrong.
  const latest = until + 60_000;
  let admitted = 0;
  const enough = () =>
    admitted > 50 && peers.every(({ identity }, at) => scene.backend.most.get(identity.id) === at + 1);
  const goesOn = () => performance.now() < until || !enough() && performance.now() < latest;
  await Promise.all(peers.flatMap((peer) =>
    Array.from({ length: 20 }, async () => {
      while (goesOn()) {
        if (await askAndPerhapsLeave(peer)) admitted++;
        else await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })
  ));
  await scene.settled();
  assert.ok(admitted > 50, `${admitted} admitted`);
  for (const [index, { identity: { id } }] of peers.entries()) {
    const most = limits[index] ?? assert.fail();
    const at = (counts: Map<NodeId, number>) => counts.get(id) ?? 0;
    assert.ok(at(scene.backend.most) >= 1 && at(scene.backend.most) <= most.max_concurrent_requests);
    assert.ok(at(scene.backend.tokens) <= most.max_tokens_per_day, `${at(scene.backend.tokens)} tokens`);
    const account = scene.usage.of(id);
    assert.ok(account.requests <= most.max_requests_per_minute);
    assert.ok(account.tokens >= at(scene.backend.tokens) && account.tokens <= most.max_tokens_per_day);
    assert.deepEqual([scene.gate.held(id), account.promised], [0, 0]);
  }
  assert.ok(peers.some(({ identity }) => scene.backend.most.get(identity.id) === 5), "The limit was reached");
});
