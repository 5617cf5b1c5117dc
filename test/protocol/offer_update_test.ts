import assert from "node:assert/strict";
import fc from "fast-check";
import {
  ALIVE_FRAME,
  ArkError,
  decodeOffer,
  decodeOfferFrame,
  encodeOfferUpdate,
  LIMITS,
  type Offer,
  type OfferedModel,
  OfferReader,
  offerUpdates,
} from "@ark/node/protocol";
import { almost, anyJson } from "./json_values.ts";

const MODEL: OfferedModel = {
  id: "m",
  digest: null,
  size: 7,
  context_length: 64,
  parameters: null,
  quantization: null,
  loaded: false,
};

/** Offers of few names and values, so that two of them often differ in little. */
function anyOffer(): fc.Arbitrary<Offer> {
  const model = fc.record({
    id: fc.constantFrom("a:1", "b:1", "c:1", "d:1", "e:1"),
    loaded: fc.boolean(),
    size: fc.constantFrom(1, 2),
    free_slots: fc.constantFrom(0, 1),
    generation_rate: fc.constantFrom(5, 7.5),
    capabilities: fc.constantFrom(["chat"], ["chat", "embed"]),
  }, { requiredKeys: ["id", "loaded", "size"] });
  return fc.record({
    name: fc.constantFrom("A", "B"),
    ready: fc.boolean(),
    free_slots: fc.constantFrom(0, 3),
    queued: fc.constantFrom(0, 1),
    yours: fc.constantFrom(0, 1),
    models: fc.uniqueArray(model, { selector: ({ id }) => id }),
  }, { requiredKeys: ["name", "ready", "models"] }).map(decodeOffer);
}

/** An offer whatever the order of its models is. */
function sorted(offer: Offer | null): unknown {
  return offer && { ...offer, models: offer.models.toSorted((a, b) => a.id < b.id ? -1 : 1) };
}

/** What a reader has after these frames, each of which goes over the wire. */
function read(reader: OfferReader, updates: ReturnType<typeof offerUpdates>): Offer | null {
  let offer: Offer | null = null;
  for (const update of updates) {
    const bytes = encodeOfferUpdate(update);
    assert.ok(bytes.length <= LIMITS.eventBytes);
    const frame = decodeOfferFrame(bytes);
    assert.ok(frame.type === "update");
    offer = reader.take(frame.update);
    assert.equal(offer === null, update.more === true);
  }
  return offer;
}

Deno.test("offerUpdates() tells what has changed, and a reader of it has each offer as it is", () => {
  fc.assert(
    fc.property(fc.array(anyOffer(), { minLength: 1, maxLength: 6 }), (offers) => {
      const reader = new OfferReader();
      let before: Offer | null = null;
      for (const offer of offers) {
        const updates = offerUpdates(before, offer);
        const read_ = read(reader, updates);
        assert.deepEqual(sorted(read_ ?? before), sorted(offer));
        assert.equal(
          updates.length === 0,
          before !== null && JSON.stringify(sorted(before)) === JSON.stringify(sorted(offer)),
        );
        before = offer;
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("offerUpdates() of one model of a thousand is small, and that of all of them fits into frames", () => {
  const models = Array.from({ length: 4_096 }, (_, index) => ({ ...MODEL, id: `${"model".repeat(35)}${index}` }));
  const offer = decodeOffer({ name: "A", ready: true, models });
  const reader = new OfferReader();
  const first = offerUpdates(null, offer);
  assert.ok(first.length > 1);
  assert.deepEqual(sorted(read(reader, first)), sorted(offer));
  const [changed, ...rest] = offer.models;
  assert.ok(changed !== undefined);
  const next = { ...offer, models: [...rest, { ...changed, loaded: true }] };
  const updates = offerUpdates(offer, next);
  assert.deepEqual(updates, [{ models: [{ ...changed, loaded: true }] }]);
  assert.deepEqual(sorted(read(reader, updates)), sorted(next));
  const none = offerUpdates(next, { ...next, models: [] });
  assert.ok(none.length > 1);
  assert.deepEqual(read(reader, none)?.models, []);
});

Deno.test("decodeOfferFrame() is total, reads its own values back, and takes a comment for a sign of life", () => {
  const update = { whole: true, node: { name: "A", ready: true }, models: [MODEL], gone: ["x"], more: true };
  fc.assert(
    fc.property(fc.oneof(anyJson(), almost(update)), (value) => {
      try {
        const frame = decodeOfferFrame(
          new TextEncoder().encode(`event: ark-offer\ndata: ${JSON.stringify(value)}\n\n`),
        );
        assert.ok(frame.type === "update");
        assert.deepEqual(decodeOfferFrame(encodeOfferUpdate(frame.update)), frame);
      } catch (error) {
        assert.ok(error instanceof ArkError && error.code === "unavailable", String(error));
      }
    }),
    { numRuns: 2_000 },
  );
  assert.deepEqual(decodeOfferFrame(ALIVE_FRAME), { type: "alive" });
});

Deno.test("decodeOfferFrame() refuses what is no frame", () => {
  const refused = (bytes: string | Uint8Array) =>
    assert.throws(() => decodeOfferFrame(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes), {
      code: "unavailable",
    });
  refused("");
  refused("data: {}\n\n");
  refused("event: ark-offer\ndata: {\n\n");
  refused("event: ark-offer\ndata: 3\n\n");
  refused("event: ark-offer\ndata: null\n\n");
  refused('event: ark-offer\ndata: {"models":{}}\n\n');
  refused('event: ark-offer\ndata: {"gone":[7]}\n\n');
  refused(Uint8Array.of(255, 254, 10, 10));
  refused(`event: ark-offer\ndata: "${"x".repeat(LIMITS.eventBytes)}"\n\n`);
});

Deno.test("OfferReader.take() begins with a whole offer, and never holds more models than an offer may have", () => {
  assert.throws(() => new OfferReader().take({ models: [MODEL] }), { code: "unavailable" });
  assert.throws(() => new OfferReader().take({ whole: true, models: [MODEL] }), { code: "unavailable" });
  const reader = new OfferReader();
  const node = { name: "A", ready: true, max_concurrent_requests: 1 };
  for (let round = 0; round < 3; round++) {
    const models = Array.from({ length: 3_000 }, (_, index) => ({ ...MODEL, id: `${round}-${index}` }));
    assert.equal(reader.take({ ...round === 0 ? { whole: true, node } : {}, models, more: true }), null);
  }
  assert.equal(reader.take({})?.models.length, LIMITS.offeredModels);
  assert.deepEqual(reader.take({ whole: true, node })?.models, []);
});
