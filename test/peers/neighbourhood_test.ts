import assert from "node:assert/strict";
import type { Discovery, Sighting } from "@ark/node/discovery";
import { generateIdentity, type Identity, type NodeId, shortId } from "@ark/node/identity";
import { Neighbourhood, type NeighbourhoodOptions } from "@ark/node/peers";
import { Logger } from "@ark/node/telemetry";
import type { PeerAddress } from "@ark/node/transport";

const SELF = generateIdentity();

/** A neighbourhood whose sightings, answers and clock a test writes. */
class Scene implements Discovery {
  readonly name = "script";
  /** Who answers where; an address without one does not answer. */
  readonly nodes = new Map<string, Identity>();
  /** Addresses that were dialled, in order. */
  readonly dialled: string[] = [];
  readonly found: NodeId[] = [];
  readonly approved = new Set<NodeId>();
  readonly neighbourhood: Neighbourhood;
  /** Monotonic time in milliseconds. */
  now = 1_000_000;
  /** While set, a probe waits for it. */
  hold: Promise<void> | null = null;
  running = 0;
  mostRunning = 0;
  #sightings: Sighting[] = [];

  constructor(options: Partial<NeighbourhoodOptions> = {}) {
    this.neighbourhood = new Neighbourhood({
      self: SELF.id,
      probe: (address) => this.#probe(address),
      approved: (id) => this.approved.has(id),
      logger: new Logger({ write: () => {} }),
      found: (id) => this.found.push(id),
      now: () => this.now,
      ...options,
    });
  }

  async #probe({ hostname, port }: PeerAddress): Promise<Uint8Array> {
    const key = `${hostname}:${port}`;
    this.dialled.push(key);
    this.mostRunning = Math.max(this.mostRunning, ++this.running);
    await this.hold;
    this.running--;
    const node = this.nodes.get(key);
    if (node === undefined) throw new Error("Nobody answers");
    return node.publicKey;
  }

  async *discover(): AsyncGenerator<Sighting> {
    yield* this.#sightings.splice(0);
  }

  /** Lets the discovery say this, and waits until all that follows from it has happened. */
  async sees(...sightings: (Partial<Sighting> & { at: string })[]): Promise<void> {
    for (const { at, ...sighting } of sightings) this.#sightings.push({ ...seen(at), ...sighting });
    await this.neighbourhood.run(this, new AbortController().signal);
  }

  /** A node that answers at an address. */
  node(at: string): Identity {
    const identity = generateIdentity();
    this.nodes.set(at, identity);
    return identity;
  }

  ids(): NodeId[] {
    return this.neighbourhood.list().map(({ id }) => id);
  }
}

function seen(at: string): Sighting {
  return { source: "mdns", shortId: null, address: address(at), gone: false };
}

function address(at: string): PeerAddress {
  const colon = at.lastIndexOf(":");
  return { hostname: at.slice(0, colon), port: Number(at.slice(colon + 1)) };
}

Deno.test("Neighbourhood shows a node when its key is proved, and calls back for it and for each new address", async () => {
  const scene = new Scene();
  const ann = scene.node("10.0.0.2:8911");
  scene.nodes.set("10.0.0.2:9000", ann);
  await scene.sees({ at: "10.0.0.2:8911", shortId: shortId(ann.id) });
  const [neighbour] = scene.neighbourhood.list();
  assert.ok(neighbour);
  assert.deepEqual([neighbour.id, neighbour.addresses, neighbour.sources], [
    ann.id,
    [address("10.0.0.2:8911")],
    ["mdns"],
  ]);
  assert.match(neighbour.firstSeen, /^20.*Z$/);
  await scene.sees({ at: "10.0.0.2:8911" }, { at: "10.0.0.2:9000", source: "fixed" }, { at: "10.0.0.2:9000" });
  assert.deepEqual(scene.neighbourhood.addresses(ann.id), [address("10.0.0.2:9000"), address("10.0.0.2:8911")]);
  assert.deepEqual(scene.neighbourhood.list()[0]?.sources, ["mdns", "fixed"]);
  assert.deepEqual(scene.found, [ann.id, ann.id]);
  assert.deepEqual(scene.neighbourhood.addresses(generateIdentity().id), []);
});

Deno.test("Neighbourhood shows nobody who does not prove a key, and not itself", async () => {
  const scene = new Scene();
  scene.nodes.set("10.0.0.1:8911", SELF);
  await scene.sees({ at: "10.0.0.1:8911", shortId: shortId(SELF.id) }, { at: "10.0.0.9:8911", shortId: "abcdefgh" });
  scene.neighbourhood.asked(SELF.id, address("10.0.0.1:8911"));
  assert.deepEqual([scene.ids(), scene.found], [[], []]);
});

Deno.test("Neighbourhood shows a node only under its own key when a sighting names another", async () => {
  const scene = new Scene();
  const liar = scene.node("10.0.0.6:8911");
  const victim = generateIdentity();
  await scene.sees({ at: "10.0.0.6:8911", shortId: shortId(victim.id) });
  assert.deepEqual(scene.ids(), []);
  scene.now += 60_000;
  await scene.sees({ at: "10.0.0.6:8911", shortId: shortId(liar.id) });
  assert.deepEqual(scene.ids(), [liar.id]);
  assert.deepEqual(scene.neighbourhood.addresses(victim.id), []);
});

Deno.test("Neighbourhood dials an address that answered once a minute, however often it is sighted", async () => {
  const scene = new Scene();
  const ann = scene.node("10.0.0.2:8911");
  for (let second = 0; second < 120; second++, scene.now += 1_000) {
    await scene.sees({ at: "10.0.0.2:8911", shortId: shortId(ann.id) });
  }
  assert.equal(scene.dialled.length, 2);
});

Deno.test("Neighbourhood dials an address that does not answer after 2, 4, 8 s, and so on up to five minutes", async () => {
  const scene = new Scene();
  const times: number[] = [];
  for (let second = 0; second < 1_500; second++, scene.now += 1_000) {
    const before = scene.dialled.length;
    await scene.sees({ at: "10.0.0.9:8911" });
    if (scene.dialled.length > before) times.push(second);
  }
  const waits = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  assert.deepEqual(waits, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
});

Deno.test("Neighbourhood finds a node that comes up at an address that did not answer, and starts over when it is lost", async () => {
  const scene = new Scene();
  for (let round = 0; round < 3; round++, scene.now += 8_000) await scene.sees({ at: "10.0.0.2:8911" });
  const ann = scene.node("10.0.0.2:8911");
  scene.now += 8_000;
  await scene.sees({ at: "10.0.0.2:8911" });
  assert.deepEqual(scene.ids(), [ann.id]);
  scene.nodes.clear();
  scene.now += 60_000;
  await scene.sees({ at: "10.0.0.2:8911" });
  const dials = scene.dialled.length;
  scene.now += 2_000;
  await scene.sees({ at: "10.0.0.2:8911" });
  assert.equal(scene.dialled.length, dials + 1);
});

Deno.test("Neighbourhood dials again soon where another node than before is said to be, but not for every packet", async () => {
  const scene = new Scene();
  const ann = scene.node("10.0.0.2:8911");
  await scene.sees({ at: "10.0.0.2:8911", shortId: shortId(ann.id) });
  const bob = scene.node("10.0.0.2:8911");
  for (let packet = 0; packet < 50; packet++) await scene.sees({ at: "10.0.0.2:8911", shortId: shortId(bob.id) });
  assert.equal(scene.dialled.length, 1);
  scene.now += 1_000;
  await scene.sees({ at: "10.0.0.2:8911", shortId: shortId(bob.id) });
  assert.deepEqual([scene.dialled.length, scene.ids().includes(bob.id)], [2, true]);
});

Deno.test("Neighbourhood dials at most four addresses at once, and none is lost", async () => {
  const scene = new Scene({ mostPerHost: 99 });
  const letGo = Promise.withResolvers<void>();
  scene.hold = letGo.promise;
  const addresses = Array.from({ length: 10 }, (_, index) => `10.0.1.${index}:8911`);
  for (const at of addresses) scene.node(at);
  const running = scene.sees(...addresses.map((at) => ({ at })));
  // Long enough for all ten to be dialled, if nothing held them back.
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve));
  letGo.resolve();
  await running;
  assert.equal(scene.mostRunning, 4);
  assert.equal(scene.ids().length, 10);
});

Deno.test("Neighbourhood keeps 32 strangers and three of one host, and every approved node", async () => {
  const scene = new Scene();
  const addresses = Array.from({ length: 60 }, (_, index) => `10.0.${index % 20}.1:${9_000 + index}`);
  for (const at of addresses) scene.node(at);
  await scene.sees(...addresses.slice(0, 20).map((at) => ({ at })));
  assert.equal(scene.ids().length, 20);
  await scene.sees(...addresses.slice(20).map((at) => ({ at })));
  assert.equal(scene.ids().length, 32);

  const late = scene.node("10.0.0.1:1");
  scene.approved.add(late.id);
  await scene.sees({ at: "10.0.0.1:1" });
  assert.ok(scene.ids().includes(late.id));
  assert.equal(scene.ids().length, 33);
});

Deno.test("Neighbourhood keeps three strangers of one host, also where they name no port to dial", () => {
  const scene = new Scene();
  for (let port = 1; port <= 9; port++) scene.neighbourhood.asked(generateIdentity().id, address(`10.0.0.7:${port}`));
  assert.equal(scene.ids().length, 3);
  for (let knock = 0; knock < 9; knock++) scene.neighbourhood.asked(generateIdentity().id, null);
  assert.equal(scene.ids().length, 6);
  scene.neighbourhood.asked(generateIdentity().id, address("10.0.0.8:1"));
  assert.equal(scene.ids().length, 7);
});

Deno.test("Neighbourhood.asked() notes who asked us, with or without an address, newest first", () => {
  const scene = new Scene();
  const [ann, bob] = [generateIdentity(), generateIdentity()];
  scene.neighbourhood.asked(ann.id, null);
  scene.now++;
  scene.neighbourhood.asked(bob.id, address("[fd00::2]:8911"));
  assert.deepEqual(scene.ids(), [bob.id, ann.id]);
  assert.deepEqual(scene.neighbourhood.list().map(({ sources }) => sources), [["asked"], ["asked"]]);
  assert.deepEqual(scene.neighbourhood.addresses(ann.id), []);
  scene.now++;
  scene.neighbourhood.asked(ann.id, address("10.0.0.2:8911"));
  assert.deepEqual(scene.ids(), [ann.id, bob.id]);
  assert.deepEqual(scene.found, [ann.id, bob.id, ann.id]);
});

Deno.test("Neighbourhood remembers eight addresses of a node, the newest first", () => {
  const scene = new Scene();
  const { id } = generateIdentity();
  for (let port = 1; port <= 12; port++) scene.neighbourhood.asked(id, address(`10.0.0.2:${port}`));
  assert.deepEqual(scene.neighbourhood.addresses(id).map(({ port }) => port), [12, 11, 10, 9, 8, 7, 6, 5]);
});

Deno.test("Neighbourhood drops an address that is gone, and the node with its last one, unless it is approved", async () => {
  const scene = new Scene();
  const [ann, bob] = [scene.node("10.0.0.2:8911"), scene.node("10.0.0.3:8911")];
  scene.approved.add(bob.id);
  await scene.sees({ at: "10.0.0.2:8911" }, { at: "10.0.0.3:8911" });
  await scene.sees({ at: "10.0.0.2:8911", gone: true }, { at: "10.0.0.3:8911", gone: true }, {
    at: "10.0.0.4:1",
    gone: true,
  });
  assert.deepEqual(scene.ids(), [bob.id]);
  assert.deepEqual(scene.neighbourhood.addresses(bob.id), []);
  scene.now += 1_000;
  await scene.sees({ at: "10.0.0.2:8911" });
  assert.ok(scene.ids().includes(ann.id), "It came back");
});

Deno.test("Neighbourhood keeps an address that the owner named, whoever says that it is gone", async () => {
  const scene = new Scene();
  const ann = scene.node("10.0.0.2:8911");
  await scene.sees({ at: "10.0.0.2:8911", source: "fixed" }, { at: "10.0.0.2:8911" }, {
    at: "10.0.0.2:8911",
    gone: true,
  });
  assert.deepEqual(scene.neighbourhood.addresses(ann.id), [address("10.0.0.2:8911")]);
});

Deno.test("Neighbourhood forgets a stranger after a day without a sign, and never an approved node", async () => {
  const scene = new Scene();
  const [ann, bob] = [scene.node("10.0.0.2:8911"), scene.node("10.0.0.3:8911")];
  scene.approved.add(bob.id);
  await scene.sees({ at: "10.0.0.2:8911" }, { at: "10.0.0.3:8911" });
  scene.now += 24 * 3_600_000;
  assert.deepEqual(new Set(scene.ids()), new Set([ann.id, bob.id]));
  scene.now += 1;
  assert.deepEqual(scene.ids(), [bob.id]);
});

Deno.test("Neighbourhood.run() ends with its discovery and leaves no probe behind", async () => {
  const scene = new Scene();
  scene.node("10.0.0.2:8911");
  const letGo = Promise.withResolvers<void>();
  scene.hold = letGo.promise;
  let over = false;
  const running = scene.sees({ at: "10.0.0.2:8911" }).then(() => over = true);
  while (scene.running === 0) await Promise.resolve();
  assert.ok(!over);
  letGo.resolve();
  await running;
  assert.equal(scene.running, 0);
});
