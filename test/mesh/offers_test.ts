/** What one node hears of another as it happens: whole nodes on the loopback, with signed streams between them. */
import assert from "node:assert/strict";
import type { PeerStatus } from "@ark/node/http";
import { decodeOfferFrame, FrameSplitter, type Offer, OfferReader } from "@ark/node/protocol";
import { fileURLToPath } from "node:url";
import { until } from "../inference/local_fixture.ts";
import { NodeProcess } from "../support/node_process.ts";
import { MeshPeer } from "./mesh_peer.ts";
import { FIXTURES, MODEL, Pair, readStream, TestNode } from "./test_node.ts";

const SLOW = { model: MODEL, stream: true, max_tokens: 2_000, messages: [{ role: "user", content: "#slow=20" }] };

/** A node in a process of its own whose engine writes as slowly as a test wants. */
const FAKE_NODE = [Deno.execPath(), "run", "-A", fileURLToPath(new URL("../support/fake_node.ts", import.meta.url))];

/** Two nodes that approved each other, of which the one that has the model is a process of its own. */
async function apart(stack: AsyncDisposableStack): Promise<{ a: TestNode; b: NodeProcess }> {
  const a = stack.use(await TestNode.start({ name: "A" }));
  const args = ["--no-mdns", "--models", FIXTURES, "--peer", a.mesh];
  const b = stack.use(await NodeProcess.start({ name: "B", command: FAKE_NODE, args }));
  await a.approve({ publicKey: b.ready.public_key, name: "B" });
  await b.json("peers", "approve", a.publicKey, "--max", "512");
  await a.reaches(MODEL);
  await sees(a, ({ live }) => live);
  return { a, b };
}

async function seenBy(node: TestNode): Promise<PeerStatus> {
  const { body } = await node.admin<{ peers: PeerStatus[] }>("/peers/status");
  return body.peers[0] ?? assert.fail("No peer is approved");
}

/** Waits until the only peer of a node is seen so; returns how long that took, in milliseconds. */
async function sees(node: TestNode, holds: (peer: PeerStatus) => boolean): Promise<number> {
  const began = performance.now();
  await until(async () => holds(await seenBy(node)));
  return performance.now() - began;
}

/** Lines of a node's log that say that a peer was lost. */
function losses({ log }: { log: readonly string[] }): string[] {
  return log.filter((line) => line.includes("A peer is unreachable"));
}

/** A peer that only listens. */
class Ear implements AsyncDisposable {
  readonly peer: MeshPeer;
  /** What is offered to it, as it was told last. */
  offer: Offer | null = null;
  /** All that it was told, as text. */
  text = "";
  /** Whether nothing more comes. */
  ended = false;
  #reading: Promise<void> | null = null;
  readonly #hangUp = new AbortController();

  private constructor(node: TestNode) {
    this.peer = new MeshPeer(node.daemon.id, node.daemon.mesh);
  }

  /** Lets a node approve it, and listens to that. */
  static async at(node: TestNode, permissions: Record<string, unknown>): Promise<Ear> {
    const ear = new Ear(node);
    await node.approve({ publicKey: ear.peer.publicKey, name: "ear" }, permissions);
    await ear.listen(node);
    return ear;
  }

  async listen({ daemon }: TestNode): Promise<void> {
    const { body, status } = await this.peer.client.request({ id: daemon.id, addresses: [daemon.mesh] }, {
      method: "GET",
      path: "/ark/v1/offers?port=0",
      deadlineMs: 60_000,
      signal: this.#hangUp.signal,
    });
    assert.equal(status, 200);
    this.ended = false;
    this.#reading = this.#read(body).catch(() => {}).finally(() => this.ended = true);
    await until(() => this.offer !== null);
  }

  model(id: string): Offer["models"][number] | undefined {
    return this.offer?.models.find((model) => model.id === id);
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const splitter = new FrameSplitter();
    const reader = new OfferReader();
    for await (const chunk of body) {
      this.text += new TextDecoder().decode(chunk);
      for (const bytes of splitter.push(chunk)) {
        const frame = decodeOfferFrame(bytes);
        if (frame.type === "update") this.offer = reader.take(frame.update) ?? this.offer;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#hangUp.abort();
    await this.#reading;
    await this.peer[Symbol.asyncDispose]();
  }
}

async function timed(wait: Promise<unknown>): Promise<string> {
  const began = performance.now();
  await wait;
  return `${(performance.now() - began).toFixed(0)} ms`;
}

Deno.test("An approved peer hears each change as it happens, of what it may use and of nothing else", async () => {
  const folder = await Deno.makeTempDir({ prefix: "ark-models-" });
  const copy = (name: string) => Deno.copyFile(`${FIXTURES}/arkling-9m-q4_0.gguf`, `${folder}/${name}.gguf`);
  await copy("first");
  await copy("hidden");
  await using node = await TestNode.start({ name: "B", models: [folder], flags: { slots: "4" } });
  // They are called by what is in them, and numbered.
  const [id, hidden, third] = [MODEL, `${MODEL}-2`, `${MODEL}-3`];
  await until(() => node.daemon.engine?.catalogue.list().length === 2);
  const terms = { models_shared: [id, third], max_concurrent_requests: 5 };
  await using ear = await Ear.at(node, terms);
  const allow = (change: Record<string, unknown>) =>
    node.approve({ publicKey: ear.peer.publicKey, name: "ear" }, { ...terms, ...change });
  const took: string[] = [];
  const hears = async (what: string, holds: () => boolean) => void took.push(`${await timed(until(holds))} (${what})`);
  assert.deepEqual([ear.offer?.state, ear.model(id)?.loaded, ear.model(id)?.free_slots], ["ready", false, 3]);

  const first = node.chat({ ...SLOW, model: id });
  await hears("a model is loaded and the owner's answer runs", () => ear.model(id)?.loaded === true);
  const own = [await first, ...await Promise.all([0, 1, 2].map(() => node.chat({ ...SLOW, model: id })))];
  await hears("the owner has all slots", () => ear.offer?.state === "busy" && ear.model(id)?.free_slots === 0);
  const late = node.chat({ ...SLOW, model: id });
  await hears("somebody waits", () => ear.model(id)?.queued === 1 && ear.offer?.queued === 1);
  await Promise.all(own.map((response) => response.body?.cancel()));
  await (await late).body?.cancel();
  await hears("all slots are free", () => ear.offer?.state === "ready" && ear.model(id)?.free_slots === 3);
  await until(() => (ear.model(id)?.load_ms ?? 0) > 0);

  await hears("a digest is known", () => ear.model(id)?.digest !== null);
  await copy("third");
  await node.daemon.engine?.catalogue.refresh();
  await hears("a model more", () => ear.offer?.models.length === 2);
  await Deno.remove(`${folder}/third.gguf`);
  await node.daemon.engine?.catalogue.refresh();
  await hears("a model less", () => ear.offer?.models.length === 1);

  await allow({ max_concurrent_requests: 1 });
  await hears("fewer at once", () => ear.offer?.max_concurrent_requests === 1 && ear.model(id)?.free_slots === 1);
  assert.ok(!ear.text.includes(hidden), "Not even that there is another model");
  await allow({ models_shared: [hidden] });
  await hears("another model", () => ear.model(id) === undefined && ear.model(hidden) !== undefined);
  await allow({ models_shared: [] });
  await hears("none any more", () => ear.offer?.models.length === 0);
  const told = ear.text.length;
  // What others do is no news for whoever may use nothing.
  const other = await node.chat({ ...SLOW, model: id });
  await other.body?.cancel();
  await until(() => node.daemon.engine?.backend.busy === 0);
  await until(() => ear.text.length >= told + 3 * ": alive\n\n".length);
  assert.match(ear.text.slice(told), /^(?:: alive\n\n)+$/);
  // deno-lint-ignore no-console
  console.log(`An approved peer heard after ${took.join(", ")}`);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("Whoever is paused or revoked hears nothing from then on, and of three streams of a peer the first is ended", async () => {
  await using node = await TestNode.start({ name: "B", models: [FIXTURES] });
  await using ear = await Ear.at(node, {});
  const key = { public_key: ear.peer.publicKey };
  await node.admin("/peers/pause", key);
  await until(() => ear.ended);
  await node.admin("/peers/resume", key);
  await ear.listen(node);
  await node.admin("/peers/revoke", key);
  await until(() => ear.ended);
  const { length } = ear.text;
  await node.chat({ model: MODEL, max_tokens: 2 }).then((response) => response.body?.cancel());
  assert.equal(ear.text.length, length);

  await using second = await Ear.at(node, {});
  await second.listen(node);
  let ended = 0;
  const { daemon } = node;
  for (let round = 0; round < 3; round++) {
    const { body } = await second.peer.client.request({ id: daemon.id, addresses: [daemon.mesh] }, {
      method: "GET",
      path: "/ark/v1/offers?port=0",
      deadlineMs: 60_000,
    });
    body.pipeTo(new WritableStream()).then(() => ended++, () => {});
  }
  await until(() => second.ended && ended === 1);
});

Deno.test("A node sees at once that another one shares no more, pauses it, takes it back and revokes it", async () => {
  await using pair = await Pair.start();
  const { a, b } = pair;
  await sees(a, ({ live }) => live);
  const key = { public_key: a.publicKey };
  await b.approve({ publicKey: a.publicKey, name: "A" }, { models_shared: ["other*"] });
  await sees(a, ({ models }) => models.length === 0);
  await b.approve({ publicKey: a.publicKey, name: "A" });
  await sees(a, ({ models, free_slots }) => models.length > 0 && free_slots === 2);
  await b.admin("/peers/pause", key);
  await sees(a, ({ state, reason }) => state === "draining" && /has paused you/.test(reason ?? ""));
  await b.admin("/peers/resume", key);
  await sees(a, ({ live, state }) => live && state === "ready");
  await b.admin("/peers/revoke", key);
  await sees(a, ({ state }) => state === "revoked");
  assert.deepEqual(losses(a), []);
});

Deno.test("R08: A peer that is told to stop is seen draining while its answer runs to its end, and then gone", async () => {
  await using stack = new AsyncDisposableStack();
  const { a, b } = await apart(stack);
  const response = await a.chat({ ...SLOW, max_tokens: 150 });
  assert.equal(response.status, 200);
  b.kill("SIGTERM");
  const took = await sees(a, ({ state }) => state === "draining" || state === "unreachable");
  const { error } = await readStream(response);
  assert.equal(error, null);
  await b.ended();
  await sees(a, ({ state }) => state === "unreachable");
  assert.ok(a.log.some((line) => line.includes("A peer is draining")), a.log.join("\n"));
  // deno-lint-ignore no-console
  console.log(`That it stops was seen after ${took.toFixed(0)} ms`);
});

Deno.test("A node that is held up itself, and starts 512 requests at once, takes no peer for silent", async () => {
  await using stack = new AsyncDisposableStack();
  const { a } = await apart(stack);
  const running = await a.chat({ ...SLOW, max_tokens: 400 });
  // Again and again longer than a peer may be silent, so that nothing that is asked meanwhile is answered in time either.
  for (let round = 0; round < 5; round++) {
    const end = performance.now() + 1_400;
    while (performance.now() < end) { /* Nothing else runs on this node. */ }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const many = await Promise.all(Array.from({ length: 512 }, () => a.chat({ model: MODEL, max_tokens: 1 })));
  await Promise.all(many.map((response) => response.body?.cancel()));
  assert.deepEqual(losses(a), []);
  const { error } = await readStream(running);
  assert.equal(error, null);
  assert.deepEqual(losses(a), []);
});
