import assert from "node:assert/strict";
import fc from "fast-check";
import { generateIdentity, type NodeId } from "@ark/node/identity";
import { type ApprovedPeer, decodeApproval, Gate, type Permissions, Usage } from "@ark/node/peers";
import { ArkError } from "@ark/node/protocol";

function peer(permissions: Partial<Permissions> = {}): ApprovedPeer {
  const all = { can_request_inference: true, can_pull_models: true, models_shared: ["tiny:*"], ...permissions };
  return decodeApproval({ node_id: generateIdentity().id, permissions: all }, new Date().toISOString());
}

function gateOf(...peers: ApprovedPeer[]): { gate: Gate; book: Map<NodeId, ApprovedPeer> } {
  const book = new Map(peers.map((each) => [each.node_id, each]));
  return { gate: new Gate(book), book };
}

Deno.test("Gate.admit() lends no more slots than the peer may hold, and takes them back", () => {
  const dave = peer({ max_concurrent_requests: 2 });
  const { gate } = gateOf(dave);
  const first = gate.admit(dave.node_id, "infer", { model: "tiny:1b" });
  {
    using second = gate.admit(dave.node_id, "pull", { model: "tiny:1b" });
    assert.equal(second.peer, dave);
    assert.equal(gate.held(dave.node_id), 2);
    assert.throws(() => gate.admit(dave.node_id, "infer", { model: "tiny:1b" }), {
      name: "ArkError",
      code: "busy",
      retryAfterSeconds: 1,
    });
  }
  assert.equal(gate.held(dave.node_id), 1);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assert.equal(gate.held(dave.node_id), 0);
});

Deno.test("A lease that is disposed of twice gives back one slot", () => {
  const dave = peer({ max_concurrent_requests: 2 });
  const { gate } = gateOf(dave);
  const [first] = [
    gate.admit(dave.node_id, "infer", { model: "tiny:1b" }),
    gate.admit(dave.node_id, "infer", { model: "tiny:1b" }),
  ];
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assert.equal(gate.held(dave.node_id), 1);
});

Deno.test("Gate.admit() counts by key: one peer's requests are nothing to another", () => {
  const [dave, ann] = [peer(), peer()];
  const { gate } = gateOf(dave, ann);
  using _one = gate.admit(dave.node_id, "infer", { model: "tiny:1b" });
  assert.throws(() => gate.admit(dave.node_id, "infer", { model: "tiny:1b" }), { code: "busy" });
  using _other = gate.admit(ann.node_id, "infer", { model: "tiny:1b" });
  assert.deepEqual([gate.held(dave.node_id), gate.held(ann.node_id)], [1, 1]);
});

Deno.test("Gate.admit() refuses what a peer may not do, and holds nothing then", () => {
  const asks = peer({ can_pull_models: false });
  const pulls = peer({ can_request_inference: false });
  const stranger = peer();
  const { gate } = gateOf(asks, pulls);
  for (
    const [who, act, model, code] of [
      [stranger, "infer", "tiny:1b", "forbidden"],
      [asks, "pull", "tiny:1b", "forbidden"],
      [pulls, "infer", "tiny:1b", "forbidden"],
      [asks, "infer", "huge:70b", "model_not_shared"],
      [pulls, "pull", "no-such-model", "model_not_shared"],
    ] as const
  ) {
    assert.throws(() => gate.admit(who.node_id, act, { model }), { name: "ArkError", code });
    assert.equal(gate.held(who.node_id), 0);
  }
});

Deno.test("Gate.admit() answers a model that is not shared and one that does not exist in the same words", () => {
  const dave = peer();
  const { gate } = gateOf(dave);
  const said = (model: string) => {
    try {
      return gate.admit(dave.node_id, "infer", { model });
    } catch (error) {
      return error instanceof ArkError ? [error.code, error.message] : error;
    }
  };
  assert.deepEqual(said("huge:70b"), said("no-such-model"));
});

Deno.test("Gate.admit() refuses a paused peer with a sentence, and takes it again afterwards", () => {
  const dave = peer();
  const { gate, book } = gateOf(dave);
  book.set(dave.node_id, { ...dave, paused: true });
  assert.throws(() => gate.admit(dave.node_id, "infer", { model: "tiny:1b" }), {
    code: "forbidden",
    message: /^The owner of this node has paused you: you stay paired/,
  });
  assert.ok(!gate.permits({ ...dave, paused: true }, "infer", "tiny:1b"));
  book.set(dave.node_id, dave);
  using _lease = gate.admit(dave.node_id, "infer", { model: "tiny:1b" });
});

Deno.test("Whom the owner cuts off again and again did not break off his answers, and waits for nothing", () => {
  const dave = peer({ max_concurrent_requests: 30 });
  const { gate, book } = gateOf(dave);
  const ask = () => Array.from({ length: 20 }, () => gate.admit(dave.node_id, "infer", { model: "tiny:1b" }));
  for (const cut of [() => book.delete(dave.node_id), () => book.set(dave.node_id, { ...dave, paused: true })]) {
    const leases = ask();
    cut();
    for (const lease of leases) {
      lease.charge.settle("broken_off");
      lease[Symbol.dispose]();
    }
    book.set(dave.node_id, dave);
    assert.equal(gate.obstacle(dave), null);
  }
});

Deno.test("What Gate.admit() refuses uses up nothing, and a lease that is only disposed costs no tokens", () => {
  const dave = peer({ max_requests_per_minute: 2, max_tokens_per_day: 100 });
  const usage = new Usage({ now: () => 0 });
  const gate = new Gate(new Map([[dave.node_id, dave]]), usage);
  for (let round = 0; round < 9; round++) {
    assert.throws(() => gate.admit(dave.node_id, "infer", { model: "huge:70b" }), { code: "model_not_shared" });
  }
  {
    using _lease = gate.admit(dave.node_id, "infer", { model: "tiny:1b", promptTokens: 50 });
    for (let round = 0; round < 9; round++) {
      assert.throws(() => gate.admit(dave.node_id, "infer", { model: "tiny:1b" }), {
        message: /1 of your requests at a/,
      });
    }
  }
  const account = usage.of(dave.node_id);
  assert.deepEqual([account.requests, account.tokens, account.promised], [1, 0, 0]);
  assert.equal(gate.obstacle(dave), null);
  gate.admit(dave.node_id, "infer", { model: "tiny:1b" })[Symbol.dispose]();
  assert.deepEqual(gate.obstacle(dave), { kind: "rate", most: 2, freeInMs: 60_000 });
  assert.equal(gate.held(dave.node_id), 0);
});

Deno.test("Gate.permits() agrees with Gate.admit() on everything but the number of requests", () => {
  const permission = fc.record({ can_request_inference: fc.boolean(), can_pull_models: fc.boolean() });
  const models = fc.constantFrom<string[]>([], ["*"], ["tiny:*"], ["huge:70b"]);
  fc.assert(fc.property(permission, models, fc.constantFrom("infer", "pull"), (may, models_shared, act) => {
    const dave = peer({ ...may, models_shared });
    const { gate } = gateOf(dave);
    let admitted = true;
    try {
      gate.admit(dave.node_id, act, { model: "tiny:1b" })[Symbol.dispose]();
    } catch {
      admitted = false;
    }
    assert.equal(gate.permits(dave, act, "tiny:1b"), admitted);
  }));
});

Deno.test("A lease outlives its peer: after a revocation and a new approval the counts still add up", () => {
  const dave = peer();
  const { gate, book } = gateOf(dave);
  const lease = gate.admit(dave.node_id, "infer", { model: "tiny:1b" });
  book.delete(dave.node_id);
  assert.throws(() => gate.admit(dave.node_id, "infer", { model: "tiny:1b" }), { code: "forbidden" });
  book.set(dave.node_id, dave);
  assert.throws(() => gate.admit(dave.node_id, "infer", { model: "tiny:1b" }), { code: "busy" });
  lease[Symbol.dispose]();
  gate.admit(dave.node_id, "infer", { model: "tiny:1b" })[Symbol.dispose]();
  assert.equal(gate.held(dave.node_id), 0);
});

Deno.test("Gate.admit() never goes beyond the limit, whatever comes and goes", () => {
  const step = fc.tuple(fc.nat(2), fc.boolean(), fc.nat());
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const peers = [1, 2, 3].map((most) => peer({ max_concurrent_requests: most }));
    const { gate } = gateOf(...peers);
    const held: Disposable[][] = [[], [], []];
    for (const [who, enters, which] of steps) {
      const [id, mine] = [peers[who]?.node_id ?? "", held[who] ?? []];
      if (enters && mine.length <= who) mine.push(gate.admit(id, "infer", { model: "tiny:1b" }));
      else if (enters) assert.throws(() => gate.admit(id, "infer", { model: "tiny:1b" }), { code: "busy" });
      else mine.splice(which % Math.max(1, mine.length), 1)[0]?.[Symbol.dispose]();
      assert.equal(gate.held(id), mine.length);
    }
  }));
});
