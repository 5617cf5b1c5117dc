import assert from "node:assert/strict";
import {
  ALIVE_FRAME,
  decodeOffer,
  decodeOfferFrame,
  encodeOfferUpdate,
  LIMITS,
  type Offer,
  OfferReader,
  offerUpdates,
} from "@ark/node/protocol";
import { mutateFrames, readFrames } from "../frames.ts";
import { type FuzzTarget, showBytes, shrinkBytes } from "../target.ts";

const MODEL = { id: "tiny:1b", size: 7, loaded: true, free_slots: 1 };
const FIRST = decodeOffer({ name: "A", ready: true, models: [MODEL, { ...MODEL, id: "big:70b" }] });
const SECOND = decodeOffer({ name: "A", ready: false, state: "draining", models: [{ ...MODEL, free_slots: 0 }] });
const STREAM = Uint8Array.from([
  ...offerUpdates(null, FIRST).flatMap((update) => [...encodeOfferUpdate(update)]),
  ...ALIVE_FRAME,
  ...offerUpdates(FIRST, SECOND).flatMap((update) => [...encodeOfferUpdate(update)]),
]);

/** Frames, right and wrong, to put anywhere. */
const FRAMES = [
  ": alive\n\n",
  "\n\n",
  'event: ark-offer\ndata: {"gone":["tiny:1b"],"more":true}\n\n',
  'event: ark-offer\ndata: {"whole":true}\n\n',
  'event: ark-offer\ndata: {"models":[{"id":"x","size":-0,"loaded":1}]}\n\n',
  'event: ark-offer\ndata: {"node":{"name":"\\u2028","ready":true,"yours":1e300}}\n\n',
];

/** The offers of a stream that arrives in pieces of this size; null where it is refused. */
function read(bytes: Uint8Array, size: number): Offer[] | null {
  const reader = new OfferReader();
  return readFrames(bytes, {
    size,
    decode(frame) {
      const decoded = decodeOfferFrame(frame);
      return decoded.type === "update" ? reader.take(decoded.update) : null;
    },
  });
}

/** A peer's stream of offers. */
export const offerStream: FuzzTarget<Uint8Array> = {
  name: "offer_stream",
  promise: "A stream is refused as unavailable, or is the same clean offers however it is cut, none of them too large.",
  corpus: [STREAM],
  covers: ["/src/protocol/"],
  mutate: (random, bytes, other) => mutateFrames(random, bytes, { other, frames: FRAMES }),
  check(bytes) {
    const offers = read(bytes, 7);
    assert.equal(JSON.stringify(read(bytes, bytes.length || 1)), JSON.stringify(offers));
    for (const offer of offers ?? []) {
      assert.ok(offer.models.length <= LIMITS.offeredModels);
      assert.deepEqual(decodeOffer(JSON.parse(JSON.stringify(offer))), offer);
    }
    return offers !== null && offers.length > 0;
  },
  show: showBytes,
  shrink: shrinkBytes,
};
