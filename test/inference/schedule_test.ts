import assert from "node:assert/strict";
import fc from "fast-check";
import {
  nextStep,
  peerSlots,
  type ResidentModel,
  type Room,
  type WaitingRequest,
} from "../../src/inference/schedule.ts";

function asks(key: string, parts: Partial<WaitingRequest> = {}): WaitingRequest {
  return { key, priority: "owner", bytes: 1, leastBytes: 1, loadOnly: false, aside: false, impatient: false, ...parts };
}

function peer(key: string, parts: Partial<WaitingRequest> = {}): WaitingRequest {
  return asks(key, { priority: "peer", ...parts });
}

function resident(key: string, parts: Partial<ResidentModel> = {}): ResidentModel {
  return {
    key,
    phase: "ready",
    slots: 1,
    owners: 0,
    peers: 0,
    yielding: 0,
    lastUsed: 0,
    pinned: false,
    kept: false,
    bytes: 1,
    ...parts,
  };
}

function room(maxLoaded: number, bytes = Infinity): Room {
  return { maxLoaded, bytes };
}

const TWO = room(2);

Deno.test("nextStep() starts, loads, makes room and waits", () => {
  const busy = { owners: 1 };
  assert.equal(nextStep([], [resident("a")], TWO), null);
  assert.deepEqual(nextStep([asks("a")], [resident("a")], TWO), { kind: "start", index: 0 });
  assert.equal(nextStep([asks("a")], [resident("a", busy)], TWO), null);
  assert.deepEqual(nextStep([asks("a")], [resident("b", busy)], TWO), { kind: "load", index: 0 });
  assert.equal(nextStep([asks("a")], [resident("a", { phase: "loading", kept: true })], TWO), null);
  const two = [resident("a", { lastUsed: 2 }), resident("b", { lastUsed: 1 })];
  assert.deepEqual(nextStep([asks("c")], two, TWO), { kind: "evict", key: "b" });
  assert.equal(nextStep([asks("c")], two.map((each) => ({ ...each, ...busy })), TWO), null);
});

Deno.test("nextStep() lets a request run whose model is free, though others wait before it", () => {
  const models = [resident("a", { owners: 1 }), resident("b")];
  assert.deepEqual(nextStep([asks("a"), asks("b")], models, TWO), { kind: "start", index: 1 });
});

Deno.test("nextStep() sends no second model away for one request", () => {
  const models = [resident("a", { phase: "leaving" }), resident("b")];
  assert.equal(nextStep([asks("c"), asks("c")], models, TWO), null);
  assert.deepEqual(nextStep([asks("c"), asks("d")], models, TWO), { kind: "evict", key: "b" });
});

Deno.test("nextStep() fills slots, and leaves the last one to the owner", () => {
  assert.deepEqual([1, 2, 3, 4].map(peerSlots), [1, 1, 2, 3]);
  const slots = 3;
  const start = { kind: "start", index: 0 };
  assert.deepEqual(nextStep([peer("a")], [resident("a", { slots, peers: 1 })], TWO), start);
  assert.equal(nextStep([peer("a")], [resident("a", { slots, peers: 2 })], TWO), null);
  assert.equal(nextStep([peer("a")], [resident("a", { slots, peers: 1, yielding: 1 })], TWO), null);
  assert.deepEqual(nextStep([asks("a")], [resident("a", { slots, peers: 2 })], TWO), start);
  assert.deepEqual(nextStep([peer("a")], [resident("a", { slots, owners: 2 })], TWO), start);
  assert.equal(nextStep([peer("a")], [resident("a", { slots, owners: 3 })], TWO), null);
});

Deno.test("nextStep() sets as many answers of peers aside as requests of the owner wait for slots", () => {
  const aside = { kind: "aside", key: "a" };
  const slots = 3;
  const line = [asks("a"), asks("a"), peer("a")];
  assert.deepEqual(nextStep(line, [resident("a", { slots, owners: 1, peers: 2 })], TWO), aside);
  assert.deepEqual(nextStep(line, [resident("a", { slots, owners: 1, peers: 1, yielding: 1 })], TWO), aside);
  assert.equal(nextStep(line, [resident("a", { slots, owners: 1, yielding: 2 })], TWO), null);
  assert.equal(nextStep(line.slice(0, 1), [resident("a", { slots, owners: 1, peers: 1, yielding: 1 })], TWO), null);
  assert.deepEqual(nextStep([asks("a")], [resident("a", { peers: 1 })], TWO), aside);
  assert.equal(nextStep([peer("a")], [resident("a", { peers: 1 })], TWO), null);
});

Deno.test("nextStep() empties a model that only peers use where the owner needs its memory, and nobody starts there", () => {
  const [slots, peers] = [4, 2];
  const line = [asks("b"), peer("a")];
  assert.deepEqual(nextStep(line, [resident("a", { slots, peers })], room(1)), { kind: "aside", key: "a" });
  assert.deepEqual(nextStep(line, [resident("a", { slots, peers: 1, yielding: 1 })], room(1)), {
    kind: "aside",
    key: "a",
  });
  assert.equal(nextStep(line, [resident("a", { slots, yielding: 1 })], room(1)), null);
  assert.deepEqual(nextStep(line, [resident("a", { slots })], room(1)), { kind: "evict", key: "a" });
  assert.equal(nextStep(line, [resident("a", { slots, peers, owners: 1 })], room(1)), null);
  const loading = resident("a", { phase: "loading" });
  assert.deepEqual(nextStep(line, [loading], room(1)), { kind: "evict", key: "a" });
  assert.equal(nextStep([asks("b")], [{ ...loading, kept: true }], room(1)), null, "the owner asked for that one, too");
  assert.equal(nextStep([peer("b")], [loading], room(1)), null);
});

Deno.test("nextStep() sends no model away that is pinned, or that the owner keeps where a peer asks", () => {
  const kept = resident("a", { kept: true, lastUsed: 1 });
  const other = resident("b", { lastUsed: 2 });
  assert.deepEqual(nextStep([peer("c")], [kept, other], TWO), { kind: "evict", key: "b" });
  assert.deepEqual(
    nextStep([asks("c")], [kept, other], TWO),
    { kind: "evict", key: "b" },
    "what peers used goes first",
  );
  assert.deepEqual(nextStep([peer("c")], [kept], room(1)), { kind: "refuse", index: 0, why: "kept" });
  assert.equal(nextStep([peer("c", { aside: true })], [kept], room(1)), null, "what was begun waits");
  assert.deepEqual(nextStep([peer("c")], [resident("a", { owners: 1 })], room(1)), {
    kind: "refuse",
    index: 0,
    why: "kept",
  });
  assert.deepEqual(nextStep([asks("c")], [kept], room(1)), { kind: "evict", key: "a" });
  const pinned = resident("a", { pinned: true });
  for (const request of [asks("c"), peer("c")]) {
    assert.deepEqual(nextStep([request], [pinned], room(1)), { kind: "refuse", index: 0, why: "unfit" });
  }
  assert.deepEqual(nextStep([asks("c")], [pinned, other], TWO), { kind: "evict", key: "b" });
});

Deno.test("nextStep() counts memory: it makes room for what a model would like, and refuses what cannot be", () => {
  const models = [resident("a", { bytes: 6, lastUsed: 1 }), resident("b", { bytes: 3, lastUsed: 2 })];
  const most = room(9, 10);
  assert.deepEqual(nextStep([asks("c", { bytes: 1 })], models, most), { kind: "load", index: 0 });
  assert.deepEqual(nextStep([asks("c", { bytes: 7 })], models, most), { kind: "evict", key: "a" });
  assert.deepEqual(nextStep([asks("c", { bytes: 9, leastBytes: 9 })], models.slice(1), most), {
    kind: "evict",
    key: "b",
  });
  assert.deepEqual(nextStep([asks("c", { bytes: 12, leastBytes: 9 })], [], most), { kind: "load", index: 0 });
  assert.deepEqual(nextStep([asks("c", { bytes: 12, leastBytes: 11 })], [], most), {
    kind: "refuse",
    index: 0,
    why: "unfit",
  });
  const pinned = resident("a", { bytes: 6, pinned: true });
  assert.deepEqual(nextStep([asks("c", { bytes: 5, leastBytes: 4 })], [pinned], most), { kind: "load", index: 0 });
  // A small one behind a large one that waits for memory does not take it away.
  const busy = models.map((each) => ({ ...each, owners: 1 }));
  assert.equal(nextStep([asks("c", { bytes: 5 }), asks("d", { bytes: 1 })], busy, most), null);
});

Deno.test("nextStep() lets nobody keep a model busy for ever that one before in the line needs gone", () => {
  const busy = resident("a", { slots: 2, owners: 1 });
  const line = [asks("b"), asks("a")];
  assert.deepEqual(nextStep(line, [busy], room(1)), { kind: "start", index: 1 });
  assert.equal(nextStep([asks("b", { impatient: true }), asks("a")], [busy], room(1)), null);
});

Deno.test("nextStep() serves who waits for what is there before it sends that away, until one loses patience", () => {
  const there = [resident("a")];
  const start = { kind: "start", index: 1 };
  const evict = { kind: "evict", key: "a" };
  assert.deepEqual(nextStep([asks("b"), asks("a")], there, room(1)), start);
  assert.deepEqual(nextStep([peer("b"), peer("a")], there, room(1)), start);
  assert.deepEqual(nextStep([asks("b"), peer("a")], there, room(1)), evict, "the owner does not wait for peers");
  assert.deepEqual(nextStep([asks("b", { impatient: true }), asks("a")], there, room(1)), evict);
});

Deno.test("nextStep() only loads for who wants no more, without a slot", () => {
  assert.deepEqual(nextStep([asks("a", { loadOnly: true })], [resident("a", { owners: 1 })], TWO), {
    kind: "start",
    index: 0,
  });
  assert.deepEqual(nextStep([asks("a", { loadOnly: true })], [], TWO), { kind: "load", index: 0 });
});

Deno.test("nextStep() brings every request to its turn, loads no more than there is room for, and keeps the owner's slot", () => {
  const request = fc.record({
    key: fc.constantFrom("a", "b", "c", "d"),
    priority: fc.constantFrom("owner" as const, "peer" as const),
    loadOnly: fc.nat(3).map((number) => number === 0),
    impatient: fc.boolean(),
  });
  const sizes: Record<string, number> = { a: 1, b: 2, c: 3, d: 4 };
  const all = fc.array(request, { minLength: 1, maxLength: 30 });
  fc.assert(fc.property(
    all,
    fc.record({ maxLoaded: fc.integer({ min: 1, max: 3 }), bytes: fc.integer({ min: 4, max: 8 }) }),
    fc.integer({ min: 1, max: 4 }),
    (requests, limits, slots) => {
      const order = requests.map((each) => {
        const bytes = sizes[each.key] ?? 1;
        return asks(each.key, { ...each, bytes, leastBytes: bytes });
      });
      let line = [...order.filter(isOwners), ...order.filter((each) => !isOwners(each))];
      let models: ResidentModel[] = [];
      let uses = 0;
      for (let turn = 0; line.length > 0; turn++) {
        assert.ok(turn < 1_000, "it does not come to an end");
        const step = nextStep(line, models, limits);
        const change = (key: string, into: (each: ResidentModel) => ResidentModel) =>
          models = models.map((each) => each.key === key && each.phase !== "leaving" ? into(each) : each);
        if (step === null) {
          // Whatever goes on comes to its end: loading, leaving and answering.
          const before = JSON.stringify(models);
          const back = models.reduce((sum, { yielding }) => sum + yielding, 0);
          models = models.filter(({ phase }) => phase !== "leaving")
            .map((each) => ({ ...each, phase: "ready", owners: 0, peers: 0, yielding: 0, kept: false }));
          assert.notEqual(JSON.stringify(models), before, `all wait and nothing goes on, ${back}`);
          continue;
        }
        if (step.kind === "evict") {
          change(step.key, (each) => ({ ...each, phase: "leaving" }));
          continue;
        }
        if (step.kind === "aside") {
          change(step.key, (each) => ({ ...each, peers: each.peers - 1, yielding: each.yielding + 1 }));
          assert.ok(models.every(({ peers }) => peers >= 0));
          continue;
        }
        const chosen = line[step.index] ?? assert.fail();
        const { key, priority } = chosen;
        if (step.kind === "load") {
          models = [
            ...models,
            resident(key, { phase: "loading", kept: isOwners(chosen), slots, lastUsed: ++uses, bytes: chosen.bytes }),
          ];
        } else {
          line = line.filter((_, index) => index !== step.index);
          if (step.kind === "refuse") assert.ok(priority === "peer" && step.why === "kept");
          else if (!chosen.loadOnly) {
            const who = isOwners(chosen) ? "owners" : "peers";
            change(key, (each) => ({ ...each, [who]: each[who] + 1, kept: each.kept || who === "owners" }));
          }
        }
        assert.ok(models.length <= limits.maxLoaded);
        assert.ok(models.reduce((sum, { bytes }) => sum + bytes, 0) <= limits.bytes);
        for (const { owners, peers, yielding } of models) {
          assert.ok(owners + peers + yielding <= slots && peers <= peerSlots(slots));
        }
      }
    },
  ));
});

function isOwners({ priority }: WaitingRequest): boolean {
  return priority === "owner";
}
