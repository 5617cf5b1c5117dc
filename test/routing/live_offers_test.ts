/** What a table learns of peers that tell by themselves what they offer. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { ApprovedPeer } from "@ark/node/peers";
import {
  ALIVE_FRAME,
  ArkError,
  encodeOfferUpdate,
  type Offer,
  type OfferUpdate,
  offerUpdates,
} from "@ark/node/protocol";
import { PeerTable, type PeerTableOptions, type PeerView, roomAt } from "@ark/node/routing";
import { Logger } from "@ark/node/telemetry";
import type { MeshCall } from "@ark/node/transport";
import { ScriptedPeer, until } from "./scripted_peer.ts";

/** A peer that tells what it offers; a test says what and when. */
class TellingPeer extends ScriptedPeer {
  /** Streams that were opened. */
  opened = 0;
  /** Streams that the table gave up. */
  cancelled = 0;
  /** Timers that run. */
  sleeping = 0;
  /** Whether it answers questions, and gives signs of life on streams. */
  silent = false;
  /** Whether only its streams are silent. */
  streamsSilent = false;
  #queue: Uint8Array[] = [];
  #told: Offer | null = null;

  constructor(name = "bob", models: readonly string[] = ["tiny:1b"]) {
    super(name, models);
    this.onOffers = () => {
      this.opened++;
      this.#queue = [];
      this.#told = null;
      this.tell({});
      return { body: this.#frames() };
    };
  }

  /** Changes its offer, and tells it. */
  tell(change: Partial<Offer>): void {
    this.offer = { ...this.offer, ...change };
    for (const update of offerUpdates(this.#told, this.offer)) this.say(update);
    this.#told = this.offer;
  }

  /** Sends a frame, or any bytes. */
  say(update: OfferUpdate | Uint8Array): void {
    this.#queue.push(update instanceof Uint8Array ? update : encodeOfferUpdate(update));
  }

  async *#frames(): AsyncGenerator<Uint8Array> {
    const own = this.opened;
    while (own === this.opened) {
      while (this.silent || this.streamsSilent) await this.#sleep(5);
      yield this.#queue.shift() ?? ALIVE_FRAME;
      if (this.#queue.length === 0) await this.#sleep(40);
    }
  }

  async #sleep(ms: number): Promise<void> {
    this.sleeping++;
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.sleeping--;
  }
}

/** A table that runs over one such peer. */
class Scene implements AsyncDisposable {
  readonly bob = new TellingPeer();
  approved: ApprovedPeer[] = [this.bob.peer];
  readonly log: string[] = [];
  readonly states: string[] = [];
  readonly table: PeerTable;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: Partial<PeerTableOptions> = {}) {
    this.table = new PeerTable({
      approved: () => this.approved,
      addresses: () => [this.bob.address],
      client: { request: (_to, call) => this.#request(call), closeIdle() {} },
      ownPort: () => 4_711,
      logger: new Logger({
        level: "debug",
        write: (line) => {
          this.log.push(line);
          this.states.push(this.view.state);
        },
      }),
      everyMs: 3_600_000,
      patienceMs: 300,
      silenceMs: 300,
      hurriedSilenceMs: 200,
      answerMs: 500,
      ...options,
    });
    this.#running = this.table.run(this.#stop.signal);
  }

  get view(): PeerView {
    return this.table.list()[0] ?? assert.fail("Nobody is approved");
  }

  async live(): Promise<this> {
    await until(() => this.view.live);
    return this;
  }

  async #request(call: MeshCall) {
    const aborted = new Promise<never>((_, reject) => {
      call.signal?.addEventListener("abort", () => reject(new ArkError("cancelled", "Aborted")));
    });
    aborted.catch(() => {});
    if (this.bob.silent) return await aborted;
    if (call.path.includes("/offers")) call.signal?.addEventListener("abort", () => this.bob.cancelled++);
    return await this.bob.request(call);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.bob.silent = this.bob.streamsSilent = false;
    await this.#running;
    await until(() => this.bob.sleeping === 0);
  }
}

Deno.test("PeerTable.run() hears of each change without asking again, and how much room there is", async () => {
  await using scene = await new Scene().live();
  const { bob, table } = scene;
  const [tiny] = bob.offer.models;
  assert.ok(tiny !== undefined);
  bob.tell({ models: [{ ...tiny, loaded: false, slots: 3, free_slots: 3, queued: 0, generation_rate: 12 }], yours: 0 });
  await until(() => table.offering("tiny")[0]?.model.generation_rate === 12);
  assert.deepEqual(table.offering("tiny").map(({ view, model }) => [view.slots, view.freeSlots, model.loaded]), [
    [2, 2, false],
  ]);
  {
    using _first = table.begin(bob.id);
    assert.equal(table.offering("tiny")[0]?.view.freeSlots, 1);
    bob.tell({ models: [{ ...tiny, slots: 3, free_slots: 1, queued: 0 }], yours: 1 });
    await until(() => table.list()[0]?.offer?.yours === 1);
    assert.equal(table.offering("tiny")[0]?.view.freeSlots, 1, "It knew of that request when it said so");
  }
  bob.tell({ state: "busy" });
  await until(() => scene.view.state === "busy");
  assert.equal(table.offering("tiny").length, 1);
  for (const state of ["thrashing", "draining"] as const) {
    bob.tell({ state, ready: false });
    await until(() => scene.view.state === state);
    assert.match(scene.view.reason ?? "", /^It /);
    assert.deepEqual(table.offering("tiny"), []);
  }
  bob.tell({ state: "ready", ready: true, models: [] });
  await until(() => scene.view.state === "ready" && scene.view.offer?.models.length === 0);
  assert.deepEqual([bob.asked, bob.opened], [1, 1]);
});

Deno.test("PeerTable.run() takes a model out that a peer withdraws, and the peer when it hangs up and is gone", async () => {
  await using scene = await new Scene({ everyMs: 100 }).live();
  const { bob, table } = scene;
  bob.tell({ models: [] });
  await until(() => table.offering("tiny").length === 0);
  bob.onOffer = () => {
    throw new ArkError("unavailable", "Connection refused");
  };
  bob.onOffers = bob.onOffer;
  bob.opened++;
  await until(() => scene.view.state === "unreachable");
  assert.ok(!scene.view.live);
});

Deno.test("PeerTable.run() drops a peer that falls silent without a word, and tells those who wait for it", async () => {
  await using scene = await new Scene().live();
  const { bob, table } = scene;
  let told = NaN;
  const began = performance.now();
  using _running = table.begin(bob.id, (since) => void (told = since));
  bob.silent = true;
  await until(() => scene.view.state === "unreachable");
  assert.ok(told >= began);
  assert.deepEqual(table.offering("tiny"), []);
  assert.match(scene.view.reason ?? "", /^It did not answer within/);
  bob.silent = false;
  table.refresh();
  await scene.live();
  assert.equal(scene.view.state, "ready");
});

Deno.test("PeerTable.run() opens another stream where one is silent and the peer is there", async () => {
  await using scene = await new Scene().live();
  const { bob } = scene;
  bob.streamsSilent = true;
  await until(() => bob.asked >= 2);
  bob.streamsSilent = false;
  await until(() => bob.opened >= 2 && scene.view.live);
  assert.ok(!scene.states.includes("unreachable"), scene.log.join("\n"));
});

Deno.test("PeerTable.run() does not take its own being held up for a peer's silence", async () => {
  await using scene = await new Scene({ silenceMs: 500, patienceMs: 500 }).live();
  const { bob } = scene;
  // The timers of a node that is held up run out before it reads what came meanwhile.
  for (let round = 0; round < 4; round++) {
    const until = performance.now() + 700;
    while (performance.now() < until) { /* As hundreds of handshakes would. */ }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await new Promise((resolve) => setTimeout(resolve, 250));
  assert.deepEqual([bob.asked, bob.opened, scene.view.state, scene.view.live], [1, 1, "ready", true]);
});

for (
  const [how, abuse] of [
    ["floods", (bob) => {
      for (let round = 0; round < 400; round++) bob.say({ node: { ...bob.offer, queued: round } });
    }],
    ["sends signs of life without end", (bob) => {
      for (let round = 0; round < 400; round++) bob.say(ALIVE_FRAME);
    }],
    ["sends a frame without end", (bob) => {
      for (let round = 0; round < 30; round++) bob.say(new Uint8Array(16_384).fill(120));
    }],
    ["sends more than anybody reads", (bob) => {
      const models = [{ ...bob.offer.models[0] ?? assert.fail(), family: "x" }];
      const large = `event: ark-offer\ndata: ${JSON.stringify({ models, pad: "y".repeat(200_000) })}\n\n`;
      for (let round = 0; round < 60; round++) bob.say(new TextEncoder().encode(large));
    }],
    ["sends what is no offer", (bob) => bob.say(new TextEncoder().encode("data: {}\n\n"))],
    [
      "sends a model with a name that fools people",
      (bob) => bob.say(new TextEncoder().encode('event: ark-offer\ndata: {"models":[{"id":"a\\u001b[2J"}]}\n\n')),
    ],
  ] as readonly [string, (bob: TellingPeer) => void][]
) {
  Deno.test(`PeerTable.run() listens no more to a peer that ${how}, says so, and goes on asking it`, async () => {
    await using scene = await new Scene({ everyMs: 50 }).live();
    const { bob } = scene;
    abuse(bob);
    await until(() => scene.log.some((line) => line.includes("abuses the stream")));
    const from = bob.asked;
    await until(() => bob.asked >= from + 3);
    assert.deepEqual([bob.opened, scene.view.live, scene.view.state], [1, false, "ready"]);
  });
}

Deno.test("PeerTable.run() ends the stream of a peer that is paused or approved no more", async () => {
  await using scene = await new Scene().live();
  const { bob } = scene;
  const [peer] = scene.approved;
  assert.ok(peer !== undefined);
  scene.approved = [{ ...peer, paused: true }];
  await until(() => bob.cancelled === 1);
  assert.deepEqual([scene.view.state, scene.view.offer, scene.view.live], ["paused", null, false]);
  scene.approved = [peer];
  scene.table.refresh();
  await scene.live();
  scene.approved = [];
  scene.table.refresh();
  assert.deepEqual(scene.table.list(), []);
  await until(() => bob.cancelled === 2);
});

Deno.test("PeerTable.refused() takes a model of a busy peer for full, for as long as it said or until its next offer", async () => {
  await using scene = await new Scene().live();
  const { bob, table } = scene;
  const [tiny] = bob.offer.models;
  assert.ok(tiny !== undefined);
  const models = [{ ...tiny, slots: 2, free_slots: 2 }, { ...tiny, id: "other:1b", slots: 2, free_slots: 2 }];
  bob.tell({ models, free_slots: 2, yours: 0 });
  const free = (model: string) => table.offering(model)[0]?.view.freeSlots;
  await until(() => free("other") === 2);
  const busy = (retryAfterSeconds: number) => new ArkError("busy", "Full", { retryAfterSeconds });
  table.refused(bob.id, { model: "tiny:1b", error: busy(600) });
  assert.deepEqual([free("tiny"), free("other")], [0, 2]);
  bob.tell({ models, free_slots: 2, yours: 0, queued: 1 });
  await until(() => free("tiny") === 2);
  table.refused(bob.id, { model: "tiny:1b", error: busy(0.3) });
  assert.equal(free("tiny"), 0);
  await until(() => free("tiny") === 2);
  table.refused(bob.id, { model: "unheard-of", error: busy(600) });
  table.refused(bob.id, { model: "tiny:1b", error: new ArkError("engine_failed", "No") });
  assert.deepEqual([free("tiny"), free("other"), bob.asked], [2, 2, 1]);
});

Deno.test("PeerTable.heard() asks a peer at once that did not answer before, and no other", async () => {
  await using scene = await new Scene().live();
  const { bob, table } = scene;
  table.heard(bob.id);
  table.heard("nobody");
  bob.silent = true;
  await until(() => scene.view.state === "unreachable");
  const before = bob.asked;
  bob.silent = false;
  await until(() => {
    table.heard(bob.id);
    return scene.view.live;
  });
  assert.equal(bob.asked, before + 1);
});

Deno.test("roomAt() is never more than a peer offers or lets us have, and never less than none", () => {
  const count = () => fc.nat({ max: 12 });
  const maybe = () => fc.option(count(), { nil: undefined });
  fc.assert(
    fc.property(
      fc.record({ most: count(), free: maybe(), slots: maybe(), yours: maybe(), queued: maybe() }),
      count(),
      fc.boolean(),
      ({ most, free, slots, yours, queued }, inFlight, full) => {
        const known = (name: string, value: number | undefined) => value === undefined ? {} : { [name]: value };
        const model = { ...known("free_slots", free), ...known("slots", slots), ...known("queued", queued) };
        const offer = { max_concurrent_requests: most, ...known("yours", yours), models: [model] } as unknown as Offer;
        const room = roomAt(offer, { model: model as unknown as Offer["models"][number], inFlight, full });
        assert.ok(room.freeSlots >= 0 && room.freeSlots <= Math.max(0, most - inFlight));
        assert.ok(room.slots <= most);
        if (full) assert.equal(room.freeSlots, 0);
        // What we have begun since it said so takes its room.
        if (free !== undefined) {
          assert.ok(room.freeSlots <= Math.max(0, free + Math.max(0, (yours ?? inFlight) - inFlight)));
        }
      },
    ),
    { numRuns: 1_000 },
  );
  assert.deepEqual(roomAt(null, { inFlight: 3, full: false }), { slots: 0, freeSlots: 0, queued: 0 });
});
