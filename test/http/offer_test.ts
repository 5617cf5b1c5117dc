import assert from "node:assert/strict";
import type { ApprovedPeer } from "@ark/node/peers";
import { offerFor } from "../../src/http/mesh/offer.ts";
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
