import assert from "node:assert/strict";
import { replicaHolders, type ReplicaPeer, Replicas } from "@ark/node/routing";
import fc from "fast-check";

const MODEL = { id: "m:1", digest: "ab".repeat(32) };

/** Nodes in virtual time that see each other's offers as they were a while ago. */
class VirtualNodes {
  now = 0;
  readonly nodes: VirtualNode[];

  constructor(count: number, { replicas, lagMs = 0, own = true }: { replicas: number; lagMs?: number; own?: boolean }) {
    this.nodes = Array.from({ length: count }, (_, index) => new VirtualNode(`node-${index}`, this, replicas));
    for (const node of this.nodes) Object.assign(node, { lagMs, own });
  }

  async pass(ms: number): Promise<void> {
    for (const end = this.now + ms; this.now < end; this.now += 1_000) {
      for (const node of this.nodes) {
        node.history.push({ at: this.now, loaded: node.isLoaded });
        if (node.alive) node.replicas.tick();
        await Promise.resolve();
        await Promise.resolve();
      }
    }
  }

  get warm(): string[] {
    return this.nodes.filter(({ alive, isLoaded }) => alive && isLoaded).map(({ id }) => id);
  }
}

class VirtualNode {
  readonly id: string;
  readonly world: VirtualNodes;
  readonly replicas: Replicas;
  readonly history: { at: number; loaded: boolean }[] = [];
  alive = true;
  own = true;
  ready = true;
  room = true;
  works = true;
  lagMs = 0;
  isLoaded = false;
  keepAliveMs: number | null = 300_000;
  loads = 0;

  constructor(id: string, world: VirtualNodes, count: number) {
    this.id = id;
    this.world = world;
    this.replicas = new Replicas({
      self: id,
      models: ["m"],
      count,
      keepAliveMs: 300_000,
      backend: this,
      catalogue: { find: () => MODEL },
      peers: () => this.#peers(),
      clock: () => world.now,
    });
  }

  loaded(): { id: string }[] {
    return this.isLoaded ? [{ id: MODEL.id }] : [];
  }

  hasRoomFor(): boolean {
    return this.room;
  }

  load(_: string, { keepAliveMs }: { keepAliveMs: number | null }): Promise<void> {
    if (!this.works) return Promise.reject(new Error("It cannot be read"));
    if (!this.isLoaded) this.loads++;
    this.isLoaded = true;
    this.keepAliveMs = keepAliveMs;
    return Promise.resolve();
  }

  #peers(): ReplicaPeer[] {
    return this.world.nodes.filter((node) => node !== this && node.alive).map((node) => {
      const then = node.history.findLast(({ at }) => at <= this.world.now - node.lagMs)?.loaded ?? false;
      const model = {
        ...MODEL,
        size: 1,
        context_length: 1,
        parameters: null,
        quantization: null,
        loaded: then,
      };
      const peer = { node_id: node.id, ...node.own ? { own: true as const } : {} };
      return { peer, state: "ready", offer: { models: [model] } };
    });
  }
}

Deno.test("replicaHolders() is the same for all who see the same: who has it, then by id, the late ones last", () => {
  const node = fc.record({ id: fc.string({ minLength: 1, maxLength: 3 }), loaded: fc.boolean() });
  const nodes = fc.uniqueArray(node, { selector: ({ id }) => id, minLength: 1, maxLength: 8 });
  fc.assert(fc.property(nodes, fc.nat(10), fc.nat(), (all, count, seed) => {
    const turned = [...all.slice(seed % all.length), ...all.slice(0, seed % all.length)];
    const late = new Set<string>();
    const holders = replicaHolders(all, { count, late });
    assert.deepEqual(holders, replicaHolders(turned, { count, late }));
    assert.equal(holders.length, Math.min(count, all.length));
    const warm = all.filter(({ loaded }) => loaded).length;
    const chosen = holders.filter((id) => all.some((each) => each.id === id && each.loaded)).length;
    assert.equal(chosen, Math.min(count, warm), "Nobody loads what another one has");
  }));
  const two = [{ id: "a", loaded: false }, { id: "b", loaded: false }];
  assert.deepEqual(replicaHolders(two, { count: 1, late: new Set(["a"]) }), ["b"]);
});

Deno.test("Replicas: as many nodes as wanted load a model, not all at once, and others take over", async () => {
  const world = new VirtualNodes(5, { replicas: 2, lagMs: 3_000 });
  await world.pass(60_000);
  assert.deepEqual(world.warm, ["node-0", "node-1"]);
  assert.equal(world.nodes.reduce((sum, { loads }) => sum + loads, 0), 2);
  assert.deepEqual(world.nodes.map(({ keepAliveMs }) => keepAliveMs).slice(0, 2), [null, null]);
  const [first] = world.nodes;
  assert.ok(first !== undefined);
  first.alive = false;
  await world.pass(30_000);
  assert.deepEqual(world.warm, ["node-1", "node-2"]);
  // It comes back, without the model: enough have it.
  Object.assign(first, { alive: true, isLoaded: false });
  await world.pass(30_000);
  assert.deepEqual(world.warm, ["node-1", "node-2"]);
});

Deno.test("Replicas: one that was loaded too often is let go by the highest id, with the usual keep-alive", async () => {
  const world = new VirtualNodes(3, { replicas: 1 });
  for (const node of world.nodes) await node.load(MODEL.id, { keepAliveMs: null });
  await world.pass(5_000);
  const [first, ...others] = world.nodes;
  assert.equal(first?.keepAliveMs, null);
  // What they had loaded for another reason is theirs.
  assert.deepEqual(others.map(({ replicas }) => replicas.held.size), [0, 0]);
  const pair = new VirtualNodes(2, { replicas: 1, lagMs: 10_000_000 });
  for (const node of pair.nodes) node.own = false;
  await pair.pass(2_000);
  assert.deepEqual(pair.warm, ["node-0", "node-1"], "Who is not the owner's own counts for nothing");
  for (const node of pair.nodes) Object.assign(node, { own: true, lagMs: 0 });
  await pair.pass(5_000);
  assert.deepEqual(pair.nodes.map(({ keepAliveMs }) => keepAliveMs), [null, 300_000]);
});

Deno.test("Replicas: a node without room, or whose model cannot be loaded, is passed over after a while", async () => {
  for (const change of [{ room: false }, { works: false }, { ready: false }]) {
    const world = new VirtualNodes(3, { replicas: 1 });
    Object.assign(world.nodes[0] ?? {}, change);
    await world.pass(60_000);
    assert.deepEqual(world.warm, []);
    await world.pass(90_000);
    assert.deepEqual(world.warm, ["node-1"], JSON.stringify(change));
    await world.pass(3_600_000);
    assert.deepEqual(world.warm, ["node-1"], "Once one has it, nobody else is needed");
  }
});

Deno.test("Replicas: a node that starts waits until it was told what its owner's other nodes have", async () => {
  let state = "unseen";
  let now = 0;
  let loads = 0;
  const replicas = new Replicas({
    self: "a",
    models: ["m"],
    count: 1,
    keepAliveMs: null,
    backend: {
      loaded: () => [],
      ready: true,
      hasRoomFor: () => true,
      load: () => Promise.resolve(void loads++),
    },
    catalogue: { find: () => MODEL },
    peers: () => [{ peer: { node_id: "b", own: true }, state, offer: null }],
    clock: () => now,
  });
  replicas.tick();
  assert.equal(loads, 0);
  now = 14_000;
  replicas.tick();
  assert.equal(loads, 0);
  state = "unreachable";
  replicas.tick();
  await Promise.resolve();
  assert.equal(loads, 1);
});
