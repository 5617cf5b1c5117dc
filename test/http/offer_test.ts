import assert from "node:assert/strict";
import type { ApprovedPeer } from "@ark/node/peers";
import { offerFor, type Stock } from "../../src/http/mesh/offer.ts";
import { fakeModel } from "../inference/local_fixture.ts";

const MODELS = ["llama3.1:8b", "llama3.1:70b", "qwen:7b"].map((id) => ({ ...fakeModel(id), contextLength: 8_192 }));

function peer(permissions: Partial<ApprovedPeer["permissions"]>): ApprovedPeer {
  return {
    node_id: "a".repeat(56),
    public_key: "ed25519:",
    name: "peer",
    approved_at: "2026-01-01T00:00:00.000Z",
    permissions: {
      can_request_inference: true,
      can_pull_models: false,
      models_shared: ["*"],
      max_concurrent_requests: 3,
      ...permissions,
    },
  };
}

const stock = { name: "N", ready: true, contextSize: 4_096, models: MODELS, loaded: new Set(["qwen:7b"]) };

Deno.test("offerFor() shows a peer what it may ask, and nothing else", () => {
  const ids = (permissions: Partial<ApprovedPeer["permissions"]>) =>
    offerFor(peer(permissions), stock).models.map(({ id }) => id);
  assert.deepEqual(ids({}), ["llama3.1:8b", "llama3.1:70b", "qwen:7b"]);
  assert.deepEqual(ids({ models_shared: ["llama3.1:8b"] }), ["llama3.1:8b"]);
  assert.deepEqual(ids({ models_shared: ["LLAMA*"] }), ["llama3.1:8b", "llama3.1:70b"]);
  assert.deepEqual(ids({ models_shared: [] }), []);
  assert.deepEqual(ids({ can_request_inference: false }), []);
});

Deno.test("offerFor() tells how many requests, how much context and what is in memory, and no path", () => {
  const offer = offerFor(peer({}), stock);
  assert.deepEqual([offer.name, offer.ready, offer.max_concurrent_requests], ["N", true, 3]);
  assert.deepEqual(offer.models.map(({ loaded }) => loaded), [false, false, true]);
  assert.ok(offer.models.every(({ context_length }) => context_length === 4_096));
  const { capabilities, family, modified_at } = offer.models[0] ?? assert.fail();
  assert.deepEqual([capabilities, family, modified_at], [["chat", "completion"], "fake", "1970-01-01T00:00:00.001Z"]);
  assert.ok(!JSON.stringify(offer).includes("/models/"));
});

const BUSY: Stock = {
  ...stock,
  occupancy: {
    ownersTurn: true,
    coldSlots: 3,
    models: new Map([["qwen:7b", { slots: 3, free: 2, queued: 1 }], ["llama3.1:70b", {
      slots: 1,
      free: 0,
      queued: 7,
    }]]),
  },
  speeds: new Map([["qwen:7b", { loadMs: 1_234, promptRate: 456.7, generationRate: 12.34 }]]),
};
const FREE = { held: 0, mustWait: false };

Deno.test("offerFor() tells how much room there is for this very peer, and how fast its models are", () => {
  const offer = offerFor(peer({}), BUSY, { held: 1, mustWait: false });
  assert.deepEqual([offer.state, offer.yours, offer.free_slots, offer.queued], ["busy", 1, 2, 8]);
  const [, cold, warm] = offer.models;
  assert.deepEqual([warm?.slots, warm?.free_slots, warm?.queued], [3, 2, 1]);
  assert.deepEqual([warm?.load_ms, warm?.prompt_rate, warm?.generation_rate], [1_200, 460, 12]);
  assert.deepEqual([cold?.free_slots, cold?.queued, cold?.load_ms], [0, 7, undefined]);
  // What is not in memory could be.
  assert.deepEqual([offer.models[0]?.slots, offer.models[0]?.free_slots], [3, 2]);
  for (const claims of [{ held: 3, mustWait: false }, { held: 0, mustWait: true }]) {
    const full = offerFor(peer({}), BUSY, claims);
    assert.deepEqual([full.free_slots, full.models.map(({ free_slots }) => free_slots)], [0, [0, 0, 0]]);
  }
});

Deno.test("offerFor() says why a node takes no work", () => {
  const state = (change: Partial<Stock>) => {
    const { ready, state, free_slots } = offerFor(peer({}), { ...BUSY, ...change }, FREE);
    return [ready, state, free_slots];
  };
  assert.deepEqual(state({}), [true, "busy", 3]);
  assert.deepEqual(state({ ready: false }), [false, "thrashing", 0]);
  assert.deepEqual(state({ ready: false, stopping: true }), [false, "draining", 0]);
  // That it yields to its owner is told to those who may use something, and why it does to nobody.
  const yielding = (permissions: Parameters<typeof peer>[0]) => {
    const { ready, state, free_slots } = offerFor(peer(permissions), BUSY, { ...FREE, yields: true });
    return [ready, state, free_slots];
  };
  assert.deepEqual(yielding({}), [false, "yielding", 0]);
  assert.deepEqual(yielding({ models_shared: [] }).slice(0, 2), [false, "draining"]);
});

Deno.test("offerFor() tells nothing of what goes on here to whoever may use no model, and nothing of the other models", () => {
  for (const permissions of [{ models_shared: [] }, { can_request_inference: false }, { models_shared: ["other"] }]) {
    const quiet = {
      ...BUSY,
      occupancy: { ownersTurn: false, coldSlots: 1, models: new Map() },
      loaded: new Set<string>(),
    };
    const offer = offerFor(peer(permissions), BUSY, FREE);
    assert.deepEqual(offer, offerFor(peer(permissions), quiet, FREE));
    assert.deepEqual([offer.models, offer.queued, offer.free_slots, offer.state], [[], undefined, undefined, "ready"]);
  }
  const one = offerFor(peer({ models_shared: ["qwen*"] }), BUSY, FREE);
  assert.deepEqual([one.queued, one.free_slots], [1, 2]);
  assert.ok(!JSON.stringify(one).includes("llama"));
});
