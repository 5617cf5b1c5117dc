import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { generateIdentity, type NodeId } from "@ark/node/identity";
import {
  type CopiedModel,
  CopyKeeper,
  type CopyState,
  CopyWishes,
  decodeCopyState,
  keepersOf,
  MOST_WISHES,
} from "@ark/node/models";
import { withDirectory } from "../../support/temporary.ts";

const never = new AbortController().signal;
const DIGEST = "ab".repeat(32);
const MODEL: CopiedModel = { id: "llama:8b", digest: DIGEST, size: 1_000 };
const QUIET = { info: () => {}, warn: () => {} };

/** A node of an owner whose nodes see each other. */
class OwnNode {
  readonly id = generateIdentity().id;
  readonly models: CopiedModel[] = [];
  wishes: { model: string; copies: number }[] = [];
  free = 10_000;
  online = true;
  /** Nodes that it does not take for its owner's own. */
  readonly strangers = new Set<NodeId>();
  /** What it may not tell of. */
  hidden = new Set<string>();
  pulls: string[] = [];
  /** Ends the running pull. */
  finish: ((error?: Error) => void) | null = null;
  readonly keeper: CopyKeeper;

  constructor(all: OwnNode[], { accepts = true, clock = { now: 0 } } = {}) {
    all.push(this);
    this.keeper = new CopyKeeper({
      self: this.id,
      accepts,
      wishes: { list: () => this.wishes },
      models: () => this.models,
      freeBytes: () => Promise.resolve(this.free),
      own: () => all.filter((one) => one !== this && !this.strangers.has(one.id)).map(({ id }) => id),
      ask: async (id): Promise<CopyState> => {
        const other = all.find((one) => one.id === id) ?? assert.fail();
        if (!other.online || !this.online || other.strangers.has(this.id)) throw new Error("It does not answer");
        return decodeCopyState(
          JSON.parse(JSON.stringify(await other.keeper.state((model) => !other.hidden.has(model)))),
        );
      },
      pull: (model, { from, signal }) => this.#pull(model, { from, signal }, all),
      logger: QUIET,
      now: () => clock.now,
    });
  }

  async *#pull(model: string, { from, signal }: { from: NodeId; signal: AbortSignal }, all: OwnNode[]) {
    this.pulls.push(model);
    yield { status: "pulling" };
    const ended = Promise.withResolvers<void>();
    const abort = () => ended.reject(new Error("aborted"));
    this.finish = (error) => error === undefined ? ended.resolve() : ended.reject(error);
    signal.addEventListener("abort", abort, { once: true });
    try {
      await ended.promise;
    } finally {
      this.finish = null;
      signal.removeEventListener("abort", abort);
    }
    const found = all.find(({ id }) => id === from)?.models.find(({ id }) => id === model);
    this.models.push(found ?? assert.fail());
  }
}

/** Every node looks once; all that is fetched then comes, where that is wanted. */
async function round(nodes: OwnNode[], { comes = true } = {}): Promise<void> {
  for (const node of nodes) if (node.online) await node.keeper.round(never);
  // What was begun has got as far as its first wait.
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  if (!comes) return;
  for (const node of nodes) {
    node.finish?.();
    await node.keeper.settled();
  }
}

function holders(nodes: OwnNode[]): number {
  return nodes.filter(({ models }) => models.some(({ digest }) => digest === DIGEST)).length;
}

function nodesOf(count: number): OwnNode[] {
  const nodes: OwnNode[] = [];
  for (let index = 0; index < count; index++) new OwnNode(nodes);
  nodes[0]?.models.push(MODEL);
  return nodes;
}

for (const copies of [1, 2, 3, 5, 9]) {
  Deno.test(`CopyKeepers of six nodes make ${Math.min(copies, 6)} of ${copies} copies, and never one more`, async () => {
    const nodes = nodesOf(6);
    const [first = assert.fail()] = nodes;
    first.wishes = [{ model: MODEL.id, copies }];
    for (let turn = 0; turn < 6; turn++) {
      // They see each other at different times.
      await round([...nodes.slice(turn % 6), ...nodes.slice(0, turn % 6)]);
      assert.ok(holders(nodes) <= copies);
    }
    assert.equal(holders(nodes), Math.min(copies, 6));
    const before = nodes.map(({ pulls }) => pulls.length);
    await round(nodes);
    assert.deepEqual(nodes.map(({ pulls }) => pulls.length), before, "Nothing is fetched twice");
  });
}

Deno.test("CopyKeeper: of two that could fetch one copy at once, one does, also while it is coming", async () => {
  for (let attempt = 0; attempt < 8; attempt++) {
    const nodes = nodesOf(3);
    const [first = assert.fail()] = nodes;
    first.wishes = [{ model: MODEL.id, copies: 2 }];
    for (let turn = 0; turn < 4; turn++) await round(nodes, { comes: false });
    assert.equal(nodes.reduce((sum, { pulls }) => sum + pulls.length, 0), 1);
    await round(nodes);
    assert.equal(holders(nodes), 2);
  }
});

Deno.test("CopyKeeper fetches nothing without its owner's word, without room, for strangers, or what it may not have", async () => {
  const cases: ((nodes: OwnNode[]) => void)[] = [
    (nodes) => nodes.splice(1, 1) && new OwnNode(nodes, { accepts: false }),
    ([, second]) => second !== undefined && (second.free = 999),
    ([first, second]) => second !== undefined && first?.strangers.add(second.id),
    ([first, second]) => first !== undefined && second?.strangers.add(first.id),
    ([first]) => first !== undefined && (first.hidden = new Set([MODEL.id])),
  ];
  for (const change of cases) {
    const nodes = nodesOf(2);
    const [first = assert.fail()] = nodes;
    first.wishes = [{ model: MODEL.id, copies: 2 }];
    change(nodes);
    for (let turn = 0; turn < 3; turn++) await round(nodes);
    assert.equal(holders(nodes), 1, String(change));
    assert.deepEqual(nodes.flatMap(({ pulls }) => pulls), []);
  }
});

Deno.test("CopyKeeper leaves a model to another node where it cannot fetch it, and tries again later", async () => {
  const clock = { now: 0 };
  const nodes: OwnNode[] = [];
  for (let index = 0; index < 3; index++) new OwnNode(nodes, { clock });
  const [first = assert.fail()] = nodes;
  first.models.push(MODEL);
  first.wishes = [{ model: MODEL.id, copies: 2 }];
  await round(nodes, { comes: false });
  await round(nodes, { comes: false });
  const chosen = nodes.find(({ finish }) => finish !== null) ?? assert.fail("Nobody fetches it");
  chosen.finish?.(new Error("no"));
  await chosen.keeper.settled();
  for (let turn = 0; turn < 3; turn++) await round(nodes);
  assert.equal(holders(nodes), 2);
  assert.equal(chosen.pulls.length, 1, "The other one did");
  const alone = nodes.filter((one) => one === first || one === chosen);
  first.wishes = [{ model: MODEL.id, copies: 3 }];
  for (let turn = 0; turn < 3; turn++) await round(alone);
  assert.equal(chosen.pulls.length, 1, "It waits");
  clock.now += 61_000;
  for (let turn = 0; turn < 3; turn++) await round(nodes);
  assert.equal(holders(nodes), 3);
});

Deno.test("CopyKeeper ends a copy that nobody wishes for any more, and not one whose wisher is away", async () => {
  const nodes = nodesOf(2);
  const [first = assert.fail(), second = assert.fail()] = nodes;
  first.wishes = [{ model: MODEL.id, copies: 2 }];
  await round(nodes, { comes: false });
  await round(nodes, { comes: false });
  assert.ok(second.finish !== null);
  first.online = false;
  await round(nodes, { comes: false });
  assert.ok(second.finish !== null);
  first.online = true;
  first.wishes = [];
  await round(nodes, { comes: false });
  await second.keeper.settled();
  assert.equal(holders(nodes), 1);
});

Deno.test("CopyKeeper takes no other file for a copy: neither under a name that is taken, nor what came", async () => {
  const nodes = nodesOf(2);
  const [first = assert.fail(), second = assert.fail()] = nodes;
  first.wishes = [{ model: MODEL.id, copies: 2 }];
  second.models.push({ ...MODEL, digest: "cd".repeat(32) });
  for (let turn = 0; turn < 3; turn++) await round(nodes);
  assert.deepEqual(second.pulls, []);
  assert.deepEqual(first.keeper.told()[0]?.candidates, []);
});

Deno.test("keepersOf() chooses exactly who is missing, and the same for everybody", () => {
  const ids = Array.from({ length: 12 }, () => generateIdentity().id);
  fc.assert(
    fc.property(fc.subarray(ids), fc.subarray(ids), fc.integer({ min: 1, max: 12 }), (holders, candidates, copies) => {
      const wish = { model: "m:1", copies, digest: DIGEST, size: 1, holders, candidates };
      const keepers = keepersOf(wish);
      const free = candidates.filter((id) => !holders.includes(id));
      assert.equal(keepers.length, Math.min(free.length, Math.max(0, copies - holders.length)));
      assert.ok(keepers.every((id) => free.includes(id)));
      assert.deepEqual(
        keepersOf({ ...wish, candidates: candidates.toReversed(), holders: [...holders, ...holders] }),
        keepers,
      );
    }),
  );
});

Deno.test("decodeCopyState() drops what makes no sense, and no name in it can be an address or a path", () => {
  const wish = { model: "a:1", copies: 2, digest: DIGEST, size: 1, holders: [], candidates: [] };
  const read = (wishes: unknown[]) => decodeCopyState({ has: [], wishes }).wishes;
  assert.equal(read([wish]).length, 1);
  assert.equal(read(Array(999).fill(wish)).length, MOST_WISHES);
  for (
    const model of [
      "https://evil.test/a.gguf",
      "hf.co/../x:1",
      "hf.co/org/repo:q4_0",
      "a",
      "../a:1",
      "/a:1",
      "a:1\n",
      "a b:1",
      "",
      1,
      "x".repeat(999) + ":1",
    ]
  ) {
    assert.deepEqual(read([{ ...wish, model }]), [], String(model));
  }
  for (
    const bad of [{ copies: 0 }, { copies: 65 }, { copies: 1.5 }, { digest: "AB".repeat(32) }, { digest: "../" }, {
      size: -1,
    }, { size: "1" }]
  ) {
    assert.deepEqual(read([{ ...wish, ...bad }]), []);
  }
  assert.deepEqual(read([{ ...wish, holders: ["x", 1, null], candidates: "all" }])[0]?.holders, []);
  for (const bad of [null, [], {}, { has: 1 }, { has: [], wishes: {} }]) {
    assert.throws(() => decodeCopyState(bad), { code: "unavailable" });
  }
  fc.assert(fc.property(fc.anything(), (value) => {
    try {
      decodeCopyState(value);
    } catch (error) {
      assert.equal((error as { code?: string }).code, "unavailable");
    }
  }));
});

Deno.test("CopyWishes are kept over a restart, and a damaged file is named", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "copies.json");
    const wishes = await CopyWishes.open(path);
    assert.deepEqual(wishes.list(), []);
    await Promise.all([wishes.set("b:1", 2), wishes.set("a:1", 3)]);
    await wishes.set("b:1", 4);
    assert.deepEqual((await CopyWishes.open(path)).list(), [{ model: "a:1", copies: 3 }, { model: "b:1", copies: 4 }]);
    await wishes.set("a:1", null);
    assert.deepEqual((await CopyWishes.open(path)).list(), [{ model: "b:1", copies: 4 }]);
    for (const bad of [0, 65, 1.5, NaN]) await assert.rejects(wishes.set("a:1", bad), { code: "bad_request" });
    for (
      const text of ["", "{", "[]", '{"wishes":[{"model":1,"copies":2}]}', '{"wishes":[{"model":"a:1","copies":0}]}']
    ) {
      await Deno.writeTextFile(path, text);
      await assert.rejects(CopyWishes.open(path), { name: "SyntaxError", message: /copies\.json is damaged/ });
    }
  });
});
