import assert from "node:assert/strict";
import fc from "fast-check";
import { ArkError, decodeOffer, label, LIMITS, type Offer } from "@ark/node/protocol";
import { almost, anyJson } from "./json_values.ts";

const OFFER: Offer = {
  name: "Dave's Ark",
  ready: true,
  max_concurrent_requests: 2,
  models: [{
    id: "llama3.1:8b",
    digest: "0a".repeat(32),
    size: 4_000_000_000,
    context_length: 8192,
    parameters: "8b",
    quantization: "q4_0",
    loaded: false,
    capabilities: ["chat", "completion", "tools"],
    family: "llama",
    modified_at: "2026-01-02T03:04:05.678Z",
  }],
};

Deno.test("decodeOffer() drops capabilities that nobody knows, and what a model leaves out stays out", () => {
  const read = (fields: Record<string, unknown>) => {
    const rest = decodeOffer({ ...OFFER, models: [{ id: "m", ...fields }] }).models[0] ?? assert.fail();
    return [rest.capabilities, rest.family, rest.modified_at];
  };
  assert.deepEqual(read({}), [undefined, undefined, undefined]);
  assert.deepEqual(read({ capabilities: ["fly", "embed", "embed", 3, "chat"] })[0], ["chat", "embed"]);
  assert.deepEqual(read({ capabilities: Array(1e5).fill("x") })[0], []);
  assert.deepEqual(read({ capabilities: "chat", family: 3, modified_at: "yesterday" }), [
    undefined,
    undefined,
    undefined,
  ]);
  assert.deepEqual(read({ family: "x\u001b[2J".repeat(50), modified_at: "2026-13-01T00:00:00.000Z" }), [
    undefined,
    "x[2J".repeat(16),
    undefined,
  ]);
});

Deno.test("decodeOffer() reads an offer and drops what it does not know", () => {
  assert.deepEqual(decodeOffer(OFFER), OFFER);
  assert.deepEqual(decodeOffer({ ...OFFER, owner: "x", models: [{ ...OFFER.models[0], path: "/secret" }] }), OFFER);
});

Deno.test("decodeOffer() is total, and reads its own values back", () => {
  fc.assert(
    fc.property(fc.oneof(anyJson(), almost(OFFER)), (value) => {
      try {
        const offer = decodeOffer(value);
        assert.deepEqual(decodeOffer(JSON.parse(JSON.stringify(offer))), offer);
      } catch (error) {
        assert.ok(error instanceof ArkError && error.code === "unavailable", String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("decodeOffer() makes nothing of numbers, labels and digests that make no sense", () => {
  const odd = {
    ...OFFER,
    name: 3,
    ready: "yes",
    max_concurrent_requests: -1,
    models: [{ id: "m", digest: "AB".repeat(32), size: 1.5, context_length: 1e300, parameters: 8, loaded: 1 }],
  };
  assert.deepEqual(decodeOffer(odd), {
    name: "",
    ready: false,
    max_concurrent_requests: 0,
    models: [{
      id: "m",
      digest: null,
      size: 0,
      context_length: 0,
      parameters: null,
      quantization: null,
      loaded: false,
    }],
  });
});

Deno.test("decodeOffer() refuses a model whose name could fool a person", () => {
  for (const id of ["", "a\u001b[31m", "gpt\u202e4", "x".repeat(201), 7, null]) {
    assert.throws(() => decodeOffer({ ...OFFER, models: [{ ...OFFER.models[0], id }] }), { code: "unavailable" });
  }
});

Deno.test("decodeOffer() looks at no more than 4096 models", () => {
  const models = Array.from({ length: LIMITS.offeredModels + 5 }, (_, index) => ({ id: `m${index}` }));
  assert.equal(decodeOffer({ models }).models.length, LIMITS.offeredModels);
});

Deno.test("label() is printable, composed, at most 64 characters, and stays as it is", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary", maxLength: 200 }), fc.anything()), (value) => {
      const cleaned = label(value);
      assert.ok([...cleaned].length <= LIMITS.nameLength);
      assert.doesNotMatch(cleaned, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      assert.equal(cleaned, cleaned.trim());
      assert.equal(cleaned.normalize("NFC"), cleaned);
      assert.equal(label(cleaned), cleaned);
      if (typeof value !== "string") assert.equal(cleaned, "");
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("label() keeps a good name and cleans a nasty one", () => {
  assert.equal(label("Zoë's Ark 🛶"), "Zoë's Ark 🛶");
  assert.equal(label("  Dave\n\u001b[31m's\u202e Ark\u200d "), "Dave[31m's Ark");
  assert.equal(label("e\u200d\u0301"), "é");
  assert.equal(label("🛶".repeat(100)), "🛶".repeat(64));
});

Deno.test("decodeOffer() reads how a node stands, and cuts down what no machine can mean", () => {
  const model = {
    id: "m",
    load_ms: 1e12,
    prompt_rate: 5e9,
    generation_rate: 12.5,
    slots: 4,
    free_slots: 1e9,
    queued: 3,
  };
  const offer = decodeOffer({
    ...OFFER,
    state: "busy",
    yours: 2,
    free_slots: 1,
    queued: 1e15,
    models: [model],
  });
  assert.deepEqual([offer.state, offer.ready, offer.yours, offer.free_slots, offer.queued], [
    "busy",
    true,
    2,
    1,
    10_000,
  ]);
  const { load_ms, prompt_rate, generation_rate, slots, free_slots, queued } = offer.models[0] ?? assert.fail();
  assert.deepEqual([load_ms, prompt_rate, generation_rate], [3_600_000, 1e6, 12.5]);
  assert.deepEqual([slots, free_slots, queued], [4, 10_000, 3]);
  const nonsense = { load_ms: -1, prompt_rate: 0, generation_rate: "9", slots: 1.5, free_slots: -1, queued: null };
  const rest = decodeOffer({ ...OFFER, models: [{ id: "m", ...nonsense }] }).models[0] ?? assert.fail();
  assert.deepEqual(Object.keys(nonsense).filter((name) => name in rest), []);
});

Deno.test("decodeOffer() takes no work from a node whose state says so, and no state that contradicts it", () => {
  const read = ([ready, state]: unknown[]) => {
    const offer = decodeOffer({ ...OFFER, ready, state });
    return [offer.ready, offer.state];
  };
  assert.deepEqual(read([true, "ready"]), [true, "ready"]);
  assert.deepEqual(read([true, "busy"]), [true, "busy"]);
  assert.deepEqual(read([true, "thrashing"]), [false, "thrashing"]);
  assert.deepEqual(read([true, "yielding"]), [false, "yielding"]);
  assert.deepEqual(read([false, "draining"]), [false, "draining"]);
  assert.deepEqual(read([false, "ready"]), [false, undefined]);
  assert.deepEqual(read([true, "asleep"]), [true, undefined]);
  assert.deepEqual(read([true, undefined]), [true, undefined]);
});
