import assert from "node:assert/strict";
import * as fc from "fast-check";
import { formatPublicKey, generateIdentity, type NodeId } from "@ark/node/identity";
import { type ApprovedPeer, decodeApproval } from "@ark/node/peers";
import { decodeWakeFacts, isMac, type Offer } from "@ark/node/protocol";
import type { PeerState, PeerView } from "@ark/node/routing";
import { parseKnownNodes } from "../../src/daemon/wake/known_nodes.ts";
import { magicPacket, wakeTargets } from "../../src/daemon/wake/magic_packet.ts";
import { OwnNodes } from "../../src/daemon/wake/own_nodes.ts";
import { Waker } from "../../src/daemon/wake/waker.ts";
import { wakeFactsOf } from "../../src/daemon/wake/own_wake_facts.ts";
import { until } from "../inference/local_fixture.ts";

const MAC = "02:fc:00:00:00:07";
const MODEL = {
  id: "big:70b",
  digest: null,
  size: 5,
  context_length: 8,
  parameters: null,
  quantization: null,
  loaded: true,
};

/** A gateway's view of one peer, and what it would send for it. */
class Scene implements AsyncDisposable {
  readonly id: NodeId;
  state: PeerState = "ready";
  own: boolean;
  /** What the peer answers when it is asked how it is woken; null is a refusal. */
  facts: unknown = { macs: [MAC], possible: true };
  questions = 0;
  readonly sent: string[][] = [];
  readonly folder: string;
  readonly stop = new AbortController();
  #nodes: OwnNodes | null = null;
  #running: Promise<void> = Promise.resolve();

  constructor({ own }: { own: boolean }) {
    const { id, publicKey } = generateIdentity();
    this.id = id;
    this.own = own;
    this.folder = Deno.makeTempDirSync();
    this.#key = formatPublicKey(publicKey);
  }

  readonly #key: string;

  get nodes(): OwnNodes {
    return this.#nodes ?? assert.fail("It is not open");
  }

  async open(): Promise<void> {
    const peer = (): ApprovedPeer => ({
      ...decodeApproval({ public_key: this.#key, name: "NAS", permissions: {} }, new Date().toISOString()),
      ...this.own ? { own: true } : {},
    });
    const offer = { name: "NAS", ready: true, max_concurrent_requests: 1, models: [MODEL] } as Offer;
    const view = () =>
      ({
        peer: peer(),
        state: this.state,
        offer: this.state === "ready" ? offer : null,
        address: { hostname: "10.9.0.2", port: 8911 },
      }) as unknown as PeerView;
    this.#nodes = await OwnNodes.open({
      config: { paths: { ownNodes: `${this.folder}/own_nodes.json` } as never, wakeMs: 400 },
      book: { get: (id) => id === this.id ? peer() : undefined, list: () => [peer()] },
      table: {
        list: () => [view()],
        addresses: () => [{ hostname: "10.9.0.2", port: 8911 }],
        ask: () => Promise.resolve(),
        offering: () => this.state === "ready" ? [{ view: view(), model: MODEL }] : [],
      },
      client: {
        request: () => {
          this.questions++;
          const body = new Response(JSON.stringify(this.facts)).body;
          return Promise.resolve({ status: this.facts === null ? 400 : 200, body } as never);
        },
      },
      logger: { info() {}, warn() {} },
      send: (macs) => {
        this.sent.push([...macs]);
        return Promise.resolve(macs.length);
      },
      times: { bursts: [0, 50, 100], askMs: 10, pauseMs: 60_000 },
    });
    this.#running = this.#nodes.run(this.stop.signal);
  }

  wake(): Promise<boolean> {
    return this.nodes.wake({ peer: this.id, model: MODEL.id }, this.stop.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort();
    await this.#running;
    await this.#nodes?.[Symbol.asyncDispose]();
    await Deno.remove(this.folder, { recursive: true });
  }
}

Deno.test("OwnNodes remembers what an own node offered, lists it while it sleeps, and wakes it", async () => {
  await using scene = new Scene({ own: true });
  await scene.open();
  await until(() => scene.questions > 0);
  assert.deepEqual(scene.nodes.models(), [], "It is awake");
  scene.state = "unreachable";
  await until(() => scene.nodes.models().length === 1);
  assert.deepEqual(scene.nodes.models().map(({ peer, name, model }) => [peer, name, model.id, model.loaded]), [
    [scene.id, "NAS", MODEL.id, false],
  ]);
  const waking = scene.wake();
  await until(() => scene.sent.length > 0);
  scene.state = "ready";
  assert.ok(await waking);
  assert.deepEqual(scene.sent[0], [MAC]);
});

Deno.test("A peer that is not the owner's own is never asked how it is woken, and no packet is sent for it", async () => {
  await using scene = new Scene({ own: false });
  await scene.open();
  // Whatever lies in the file, be it of a time when it was one, counts for nobody else.
  const before = scene.questions;
  scene.state = "unreachable";
  assert.ok(!await scene.wake());
  await assert.rejects(scene.nodes.wakeNow(scene.id, scene.stop.signal), { code: "bad_request" });
  assert.deepEqual([scene.nodes.models(), scene.questions, before, scene.sent], [[], 0, 0, []]);
});

Deno.test("One that is no node of the owner's any more is not woken, though it was known", async () => {
  await using scene = new Scene({ own: true });
  await scene.open();
  await until(() => scene.questions > 0);
  scene.state = "unreachable";
  await until(() => scene.nodes.models().length === 1);
  scene.own = false;
  assert.deepEqual(scene.nodes.models(), []);
  assert.ok(!await scene.wake());
  assert.deepEqual(scene.sent, []);
});

Deno.test("An own node that refuses to tell, or tells what makes no sense, is not woken", async () => {
  const wrong = [
    null,
    {},
    { macs: [MAC] },
    { macs: ["ff:ff:ff:ff:ff:ff"], possible: true },
    { macs: ["01:00:5e:00:00:01"], possible: null },
    { macs: Array(9).fill(MAC), possible: true },
    { macs: [`${MAC}\n`], possible: true },
    { macs: [MAC], possible: false },
  ];
  for (const facts of wrong) {
    await using scene = new Scene({ own: true });
    scene.facts = facts;
    await scene.open();
    await until(() => scene.questions > 0);
    scene.state = "unreachable";
    // What was told is taken in with the next breath of the loop that asked.
    for (let i = 0; i < 20; i++) await Promise.resolve();
    assert.deepEqual(scene.nodes.models(), [], JSON.stringify(facts));
  }
});

Deno.test("Many requests make one attempt of few packets, and none after one in vain", async () => {
  await using scene = new Scene({ own: true });
  await scene.open();
  await until(() => scene.questions > 0);
  scene.state = "unreachable";
  await until(() => scene.nodes.models().length === 1);
  const results = await Promise.all(Array.from({ length: 100 }, () => scene.wake()));
  assert.ok(results.every((one) => one === false));
  const packets = scene.sent.length;
  assert.ok(packets >= 1 && packets <= 3, `${packets}`);
  // The attempt itself may last longer than a request waits; it sends nothing more, and neither do others.
  await Promise.all(Array.from({ length: 100 }, () => scene.wake()));
  assert.ok(scene.sent.length <= 3, `${scene.sent.length}`);
});

Deno.test("Waker sends nothing for a while after an attempt in vain, and ends when the node does", async () => {
  const id = generateIdentity().id;
  const closing = new AbortController();
  let sent = 0;
  const waker = new Waker({
    wakeMs: 120,
    send: () => Promise.resolve(++sent),
    ask: () => Promise.resolve(),
    answers: () => 1 > 2,
    closing: closing.signal,
    times: { bursts: [0, 20], askMs: 5, pauseMs: 300, longestPauseMs: 100_000 },
  });
  const wake = () => waker.wake(id, { there: () => 1 > 2, signal: closing.signal });
  assert.ok(!await wake());
  await until(() => !waker.isWaking(id));
  assert.equal(sent, 2);
  for (let i = 0; i < 50; i++) assert.ok(!await wake());
  assert.equal(sent, 2, "It was woken in vain a moment ago");
  await until(async () => {
    await wake();
    return sent === 4;
  });
  closing.abort();
  await until(() => !waker.isWaking(id));
});

Deno.test("What is remembered survives a restart", async () => {
  await using scene = new Scene({ own: true });
  await scene.open();
  await until(() => scene.questions > 0);
  const path = `${scene.folder}/own_nodes.json`;
  await until(() => Deno.readTextFile(path).then((text) => text.includes(MAC), () => false));
  const known = parseKnownNodes(await Deno.readTextFile(path));
  assert.deepEqual(known.get(scene.id)?.wake, { macs: [MAC], possible: true });
  assert.deepEqual(known.get(scene.id)?.models.map(({ id }) => id), [MODEL.id]);
  assert.deepEqual(known.get(scene.id)?.addresses, ["10.9.0.2"]);
});

Deno.test("parseKnownNodes() and decodeWakeFacts() are total but for their own error", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
    assert.ok(parseKnownNodes(text) instanceof Map);
  }));
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    parseKnownNodes(JSON.stringify({ nodes: [value, { node_id: value, models: [value], wake: value, seen_at: 1 }] }));
    try {
      assert.ok(decodeWakeFacts(value).macs.every(isMac));
    } catch (error) {
      assert.equal((error as { code?: string }).code, "unavailable");
    }
  }));
});

Deno.test("magicPacket() is six times 255 and sixteen times the address, and of nothing else", () => {
  const byte = fc.integer({ min: 0, max: 255 });
  fc.assert(fc.property(fc.array(byte, { minLength: 6, maxLength: 6 }), (bytes) => {
    const mac = bytes.map((one) => one.toString(16).padStart(2, "0")).join(":");
    if (!isMac(mac)) return assert.throws(() => magicPacket(mac), TypeError);
    const packet = magicPacket(mac);
    assert.deepEqual([...packet], [...Array(6).fill(255), ...Array.from({ length: 16 }, () => bytes).flat()]);
  }));
  for (const text of ["", "ff:ff:ff:ff:ff:ff", "02:fc:00:00:00", "02-fc-00-00-00-01", "02:FC:00:00:00:01"]) {
    assert.throws(() => magicPacket(text), TypeError, text);
  }
});

Deno.test("wakeTargets() sends where the node was, everywhere where that is not known, and never beyond", () => {
  const lan = { address: "192.168.1.5", netmask: "255.255.255.0" };
  const lab = { address: "10.1.2.3", netmask: "255.255.0.0" };
  assert.deepEqual(wakeTargets([lan, lab], ["192.168.1.77"]), [
    { from: "192.168.1.5", to: "192.168.1.255" },
    { from: "192.168.1.5", to: "192.168.1.77" },
  ]);
  assert.deepEqual(wakeTargets([lan, lab], []).map(({ to }) => to), ["192.168.1.255", "10.1.255.255"]);
  assert.deepEqual(wakeTargets([lan], ["203.0.113.9"]).map(({ to }) => to), ["192.168.1.255", "203.0.113.9"]);
  // A tunnel of one address, this machine itself, and groups are no places.
  assert.deepEqual(wakeTargets([{ address: "10.9.0.1", netmask: "255.255.255.255" }], ["127.0.0.1", "224.0.0.1"]), []);
  fc.assert(fc.property(fc.array(fc.ipV4(), { maxLength: 40 }), (last) => {
    assert.ok(wakeTargets(Array.from({ length: 20 }, () => lan), last).length <= 12);
  }));
});

Deno.test("wakeFactsOf() tells of cards that are devices, and what the system says of them", () => {
  const real = { name: "eth0", mac: MAC, real: true, wakes: true };
  const made = { name: "docker0", mac: "02:42:00:00:00:01", real: false, wakes: null };
  assert.deepEqual(wakeFactsOf([made, real]), { macs: [MAC], possible: true });
  assert.deepEqual(wakeFactsOf([{ ...real, wakes: false }]), { macs: [MAC], possible: false });
  assert.deepEqual(wakeFactsOf([{ ...real, real: null, wakes: null }]), { macs: [MAC], possible: null });
  assert.deepEqual(wakeFactsOf([]), { macs: [], possible: null });
});
