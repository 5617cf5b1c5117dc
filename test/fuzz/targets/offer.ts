import assert from "node:assert/strict";
import { ArkError, decodeModelRef, decodeOffer, type Offer } from "@ark/node/protocol";
import { mutateJson } from "../mutate.ts";
import { type FuzzTarget, refusedBy } from "../target.ts";

const MODEL = {
  id: "llama3.1:8b",
  digest: "5a".repeat(32),
  size: 4_000_000_000,
  context_length: 8_192,
  parameters: "8b",
  quantization: "q4_0",
  loaded: true,
  load_ms: 900,
  prompt_rate: 450,
  generation_rate: 12.5,
  slots: 3,
  free_slots: 1,
  queued: 2,
};
const OFFER = {
  name: "Dave's Ark",
  ready: true,
  state: "busy",
  max_concurrent_requests: 2,
  yours: 1,
  free_slots: 1,
  queued: 2,
  models: [MODEL, { ...MODEL, id: "x", digest: null }],
};
const MORE = ["capabilities", "family", "modified_at"];
const PRINTABLE = /^[^\p{C}\p{Zl}\p{Zp}]*$/u;

/** What a peer says it offers. */
export const offer: FuzzTarget<unknown> = {
  name: "offer",
  promise:
    "An offer is refused as unavailable, or holds clean names and whole numbers, and is the same when read again.",
  corpus: [OFFER, { ...OFFER, models: [] }, { ...OFFER, ready: false }],
  covers: ["/src/protocol/"],
  mutate: (random, value) => mutateJson(random, value, [...Object.keys(OFFER), ...Object.keys(MODEL), "__proto__"]),
  check(value) {
    let read: Offer;
    try {
      read = decodeOffer(value);
    } catch (error) {
      assert.ok(!(error instanceof ArkError) || error.code === "unavailable");
      return refusedBy(error, ArkError);
    }
    assert.ok(Object.keys(read).every((name) => name in OFFER));
    assert.ok([...read.name].length <= 64 && PRINTABLE.test(read.name));
    for (const model of read.models) {
      assert.ok(Object.keys(model).every((name) => Object.hasOwn(MODEL, name) || MORE.includes(name)));
      for (const name of ["load_ms", "prompt_rate", "generation_rate", "slots", "free_slots", "queued"] as const) {
        const value = model[name] ?? 0;
        assert.ok(value >= 0 && value <= 3_600_000, `${name} ${value}`);
      }
      assert.equal(decodeModelRef(model.id), model.id);
      assert.ok(Number.isSafeInteger(model.size) && model.size >= 0);
      assert.ok(PRINTABLE.test(model.parameters ?? "") && PRINTABLE.test(model.quantization ?? ""));
    }
    assert.deepEqual(decodeOffer(JSON.parse(JSON.stringify(read))), read);
    return true;
  },
  show: (value) => JSON.stringify(value) ?? String(value),
};
