import assert from "node:assert/strict";
import fc from "fast-check";
import type { ApprovedPeer } from "@ark/node/peers";
import { ArkError, type Offer } from "@ark/node/protocol";
import { findOffered, PeerTable, type PeerTableOptions, type PeerView, readJson } from "@ark/node/routing";
import { Logger } from "@ark/node/telemetry";
import { clientOf, ScriptedPeer, until } from "./scripted_peer.ts";

/** A table over scripted peers, all of them approved and with a known address unless a test says otherwise. */
class Scene {
  approved: ApprovedPeer[];
  readonly log: string[] = [];
  readonly table: PeerTable;
  readonly never = new AbortController().signal;

  constructor(peers: ScriptedPeer[], options: Partial<PeerTableOptions> = {}) {
    this.approved = peers.map(({ peer }) => peer);
    this.table = new PeerTable({
      approved: () => this.approved,
      addresses: (id) => peers.filter((peer) => peer.id === id).map(({ address }) => address),
      client: clientOf(peers),
      ownPort: () => 4_711,
      logger: new Logger({ level: "debug", write: (line) => this.log.push(line) }),
      ...options,
    });
  }

  view(index = 0): PeerView {
    return this.table.list()[index] ?? assert.fail("There is no such peer");
  }

  ask(peer: ScriptedPeer, signal = this.never): Promise<void> {
    return this.table.ask(peer.id, signal);
  }
}

const refusal = (code: string) => [JSON.stringify({ error: { code, message: "No" } })];

Deno.test("PeerTable knows of an approved peer nothing but that it is approved, until it has asked", () => {
  const bob = new ScriptedPeer();
  const { table } = new Scene([bob]);
  assert.deepEqual(table.list(), [{
    peer: bob.peer,
    state: "unseen",
    reason: null,
    since: null,
    address: null,
    roundTripMs: null,
    offer: null,
    live: false,
    inFlight: 0,
    slots: 0,
    freeSlots: 0,
    queued: 0,
  }]);
  assert.deepEqual(table.offering("tiny:1b"), []);
});

Deno.test("PeerTable.ask() learns offer, address and round trip, and tells the peer our port", async () => {
  const bob = new ScriptedPeer();
  const paths: string[] = [];
  const client = clientOf([bob]);
  const scene = new Scene([bob], {
    client: {
      request: (to, call) => {
        paths.push(`${call.method} ${call.path}`);
        return client.request(to, call);
      },
    },
  });
  await scene.ask(bob);
  const { state, reason, address, offer, roundTripMs } = scene.view();
  assert.deepEqual([state, reason, address, offer], ["ready", null, bob.address, bob.offer]);
  assert.ok(roundTripMs !== null && roundTripMs >= 0 && roundTripMs < 5_000);
  assert.deepEqual(paths, ["GET /ark/v1/offer?port=4711"]);
  assert.equal(scene.log.filter((line) => line.includes("A peer is ready")).length, 1);
});

Deno.test("PeerTable.ask() smooths the round trip, so that one slow answer is not all that counts", async () => {
  const bob = new ScriptedPeer();
  const scene = new Scene([bob]);
  await scene.ask(bob);
  const first = scene.view().roundTripMs ?? assert.fail();
  bob.onOffer = async () => {
    await new Promise((resolve) => setTimeout(resolve, 100));
    return { body: [JSON.stringify(bob.offer)] };
  };
  const began = performance.now();
  await scene.ask(bob);
  const took = performance.now() - began;
  const second = scene.view().roundTripMs ?? assert.fail();
  assert.ok(second > first && second <= first * 0.8 + took * 0.2 + 0.001, `${first} ${second} ${took}`);
});

for (
  const [state, how, script] of [
    ["not_approved", "401", { status: 401, body: refusal("ark_unauthorized") }],
    ["not_approved", "a failure to authenticate", new ArkError("unauthenticated", "Stranger")],
    ["revoked", "403 ark_revoked", { status: 403, body: refusal("ark_revoked") }],
    ["revoked", "a revoked error", new ArkError("revoked", "No more")],
    ["draining", "403", { status: 403, body: refusal("ark_forbidden") }],
    ["unreachable", "500", { status: 500, body: refusal("ark_internal") }],
    ["unreachable", "no connection", new ArkError("unavailable", "Connection refused")],
    ["unreachable", "an offer that is none", { body: ["{}"] }],
    ["unreachable", "no JSON", { body: ["<html>"] }],
    ["unreachable", "too much", { body: Array(80).fill(`"${"x".repeat(1 << 16)}"`) }],
    ["unreachable", "a fault of ours", new TypeError("Cannot send")],
    ["draining", "an offer that is not ready", {
      body: [JSON.stringify({ ...new ScriptedPeer().offer, ready: false })],
    }],
  ] as const
) {
  Deno.test(`PeerTable.ask() finds a peer ${state} by ${how}, says why, and offers nothing of it`, async () => {
    const bob = new ScriptedPeer();
    const scene = new Scene([bob]);
    await scene.ask(bob);
    assert.equal(scene.table.offering("tiny:1b").length, 1);
    bob.onOffer = () => {
      if (script instanceof Error) throw script;
      return script;
    };
    await scene.ask(bob);
    assert.equal(scene.view().state, state);
    assert.match(scene.view().reason ?? "", /^[A-Z][^\n]+$/);
    assert.equal(scene.view().offer === null, state !== "draining" || how === "403");
    assert.deepEqual(scene.table.offering("tiny:1b"), []);
    bob.onOffer = () => ({ body: [JSON.stringify(bob.offer)] });
    await scene.ask(bob);
    assert.deepEqual([scene.view().state, scene.view().reason], ["ready", null]);
  });
}

Deno.test("PeerTable.ask() finds a peer unseen that has no address, and asks nobody", async () => {
  const bob = new ScriptedPeer();
  const scene = new Scene([bob], { addresses: () => [] });
  await scene.ask(bob);
  assert.deepEqual([scene.view().state, bob.asked], ["unseen", 0]);
  assert.match(scene.view().reason ?? "", /^It was not seen yet/);
});

Deno.test("PeerTable.ask() asks once while an answer is on its way, and returns when its signal fires", async () => {
  const bob = new ScriptedPeer();
  const scene = new Scene([bob]);
  const answer = Promise.withResolvers<void>();
  bob.onOffer = async () => {
    await answer.promise;
    return { body: [JSON.stringify(bob.offer)] };
  };
  const first = scene.ask(bob);
  const impatient = new AbortController();
  const second = scene.ask(bob, impatient.signal);
  impatient.abort();
  await second;
  assert.deepEqual([bob.asked, scene.view().state], [1, "unseen"]);
  answer.resolve();
  await first;
  assert.deepEqual([bob.asked, scene.view().state], [1, "ready"]);
  await scene.ask(bob, AbortSignal.abort());
  assert.equal(bob.asked, 1);
});

Deno.test("PeerTable.ask() changes nothing when it is aborted, and can be asked again", async () => {
  const bob = new ScriptedPeer();
  const scene = new Scene([bob]);
  await scene.ask(bob);
  const abort = new AbortController();
  bob.onOffer = () => ({ body: stalled() });
  const asking = scene.ask(bob, abort.signal);
  await until(() => bob.asked === 2);
  abort.abort();
  await asking;
  assert.equal(scene.view().state, "ready");
  bob.onOffer = () => ({ body: [JSON.stringify({ ...bob.offer, models: [] })] });
  await until(() => scene.table.list()[0]?.state === "ready");
  await scene.ask(bob);
  assert.deepEqual(scene.view().offer?.models, []);
});

Deno.test("PeerTable.ask() does not wait for ever for the rest of an offer", async () => {
  const bob = new ScriptedPeer();
  const scene = new Scene([bob], { answerMs: 20 });
  bob.onOffer = () => ({ body: stalled() });
  await scene.ask(bob);
  assert.deepEqual([scene.view().state, scene.view().reason], ["unreachable", "It did not answer within 20 ms"]);
});

async function* stalled(): AsyncGenerator<string> {
  yield "{";
  await new Promise(() => {});
}

Deno.test("PeerTable.offering() names each ready peer that has a model, as that peer calls it", async () => {
  const [ann, bob, eve] = [
    new ScriptedPeer("ann", ["tiny:1b", "big:70b"]),
    new ScriptedPeer("bob", ["tiny:3b"]),
    new ScriptedPeer("eve", []),
  ];
  const scene = new Scene([ann, bob, eve]);
  for (const peer of [ann, bob, eve]) await scene.ask(peer);
  const found = (ref: string) => scene.table.offering(ref).map(({ view, model }) => `${view.peer.name} ${model.id}`);
  assert.deepEqual(found("tiny"), ["ann tiny:1b", "bob tiny:3b"]);
  assert.deepEqual(found("TINY:3B"), ["bob tiny:3b"]);
  assert.deepEqual(found("huge"), []);
});

Deno.test("findOffered() takes the whole id before a name, and a name only when one model has it", () => {
  const models = (...ids: string[]) => ids.map((id) => ({ id }) as Offer["models"][number]);
  const found = (ref: string, ...ids: string[]) => findOffered(models(...ids), ref)?.id;
  assert.equal(found("llama3.1:8b", "llama3.1:70b", "llama3.1:8b"), "llama3.1:8b");
  assert.equal(found("Llama3.1:8B", "llama3.1:8b"), "llama3.1:8b");
  assert.equal(found("llama3.1", "llama3.1:8b", "mistral:7b"), "llama3.1:8b");
  assert.equal(found("llama3.1:latest", "llama3.1:8b"), "llama3.1:8b");
  assert.equal(found("llama3.1", "llama3.1:8b", "llama3.1:70b"), undefined);
  assert.equal(found("llama3.1:70b", "llama3.1:8b"), undefined);
  assert.equal(found("arkling", "arkling"), "arkling");
  assert.equal(found("llama3"), undefined);
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom<string>("a:1", "a:2", "b:1", "c")),
      fc.constantFrom("a:1", "A:2", "c"),
      (ids, ref) => {
        assert.equal(found(ref, ...ids), ids.includes(ref.toLowerCase()) ? ref.toLowerCase() : undefined);
      },
    ),
  );
});

Deno.test("PeerTable.addresses() puts first where the peer answered last", async () => {
  const bob = new ScriptedPeer();
  const other = { hostname: "10.0.0.9", port: 1 };
  const known = [other, bob.address];
  const scene = new Scene([bob], { addresses: () => known });
  assert.deepEqual(scene.table.addresses(bob.id), known);
  await scene.ask(bob);
  assert.deepEqual(scene.table.addresses(bob.id), [bob.address, other]);
  known.length = 0;
  assert.deepEqual(scene.table.addresses(bob.id), [bob.address]);
});

Deno.test("PeerTable.begin() counts what runs, once each", () => {
  const bob = new ScriptedPeer();
  const { table } = new Scene([bob]);
  const first = table.begin(bob.id);
  {
    using _second = table.begin(bob.id);
    assert.equal(table.list()[0]?.inFlight, 2);
  }
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assert.equal(table.list()[0]?.inFlight, 0);
});

Deno.test("PeerTable.failed() takes a peer out until it has answered", async () => {
  const bob = new ScriptedPeer();
  const scene = new Scene([bob]);
  await scene.ask(bob);
  scene.table.failed(bob.id, "It broke off");
  assert.deepEqual([scene.view().state, scene.view().reason, scene.view().offer], [
    "unreachable",
    "It broke off",
    null,
  ]);
  assert.deepEqual(scene.table.offering("tiny:1b"), []);
  await scene.ask(bob);
  assert.equal(scene.view().state, "ready");
});

Deno.test("PeerTable.run() asks everyone at once, again when it is woken, and ends with its signal", async () => {
  const [ann, bob] = [new ScriptedPeer("ann"), new ScriptedPeer("bob")];
  const scene = new Scene([ann, bob], { everyMs: 3_600_000 });
  const stop = new AbortController();
  const running = scene.table.run(stop.signal);
  await until(() => scene.table.offering("tiny").length === 2);
  scene.table.failed(ann.id, "It broke off");
  await until(() => ann.asked === 2 && scene.table.offering("tiny").length === 2);
  bob.offer = { ...bob.offer, models: [] };
  scene.table.refresh();
  await until(() => scene.table.offering("tiny").length === 1);
  stop.abort();
  await running;
  // What became of a request to one says nothing about the other.
  assert.deepEqual([ann.asked, bob.asked], [3, 2]);
});

Deno.test("PeerTable.run() asks again after its time, also while another peer does not answer", async () => {
  const [ann, bob] = [new ScriptedPeer("ann"), new ScriptedPeer("bob")];
  bob.onOffer = () => ({ body: stalled() });
  const scene = new Scene([ann, bob], { everyMs: 5 });
  const stop = new AbortController();
  const running = scene.table.run(stop.signal);
  await until(() => ann.asked >= 4);
  assert.equal(bob.asked, 1);
  stop.abort();
  await running;
});

Deno.test("PeerTable.run() forgets what it knew of a peer that is approved no more", async () => {
  const bob = new ScriptedPeer();
  const scene = new Scene([bob], { everyMs: 3_600_000 });
  const stop = new AbortController();
  const running = scene.table.run(stop.signal);
  await until(() => scene.table.offering("tiny").length === 1);
  const { approved } = scene;
  scene.approved = [];
  scene.table.refresh();
  assert.deepEqual(scene.table.list(), []);
  await new Promise((resolve) => setTimeout(resolve));
  scene.approved = approved;
  assert.equal(scene.view().state, "unseen");
  stop.abort();
  await running;
});

Deno.test("PeerTable.run() does nothing when its signal has fired", async () => {
  const bob = new ScriptedPeer();
  const scene = new Scene([bob]);
  await scene.table.run(AbortSignal.abort());
  assert.equal(bob.asked, 0);
});

Deno.test("readJson() reads what is cut anywhere, and nothing longer than its limit", async () => {
  const stream = (...parts: Uint8Array<ArrayBuffer>[]) => ReadableStream.from(parts);
  const bytes = new TextEncoder().encode(`{"name":"Zoë 🛶"}`);
  const parts = Array.from(bytes, (byte) => Uint8Array.of(byte));
  assert.deepEqual(await readJson(stream(...parts), bytes.length), { name: "Zoë 🛶" });
  await assert.rejects(readJson(stream(...parts), bytes.length - 1), { name: "ArkError", code: "unavailable" });
  await assert.rejects(readJson(stream(bytes, bytes), 1_000), { name: "ArkError", code: "unavailable" });
  await assert.rejects(readJson(stream(), 1_000), { name: "ArkError", code: "unavailable" });
});
