import assert from "node:assert/strict";
import { verify } from "@ark/node/identity";
import {
  ArkError,
  decodeFrame,
  encodeReceiptFrame,
  type MeshFrame,
  type Receipt,
  receiptBytes,
  type SignedReceipt,
} from "@ark/node/protocol";
import { mutateBytes, mutateJson } from "../mutate.ts";
import type { Random } from "../random.ts";
import { type FuzzTarget, refusedBy, showBytes, shrinkBytes } from "../target.ts";
import { alice } from "./signature.ts";

const RECEIPTS: Receipt[] = ["stop", "length"].map((finish_reason, index) => ({
  request: `${index}a`.repeat(32),
  stream: "5b".repeat(32),
  model: "llama3.1:8b",
  digest: index === 0 ? "5c".repeat(32) : null,
  prompt_tokens: 12,
  completion_tokens: 2_048,
  finish_reason: finish_reason as Receipt["finish_reason"],
  ...index === 0 ? {} : { leaf: 7 },
}));
const NAMES = Object.keys({ ...RECEIPTS[0], leaf: 1 });
const SIGNED: SignedReceipt[] = RECEIPTS.map((receipt) => ({
  receipt,
  signature: alice.sign(receiptBytes(receipt)).toBase64(),
}));
const FRAMES = SIGNED.map(encodeReceiptFrame);

/** A frame with a receipt of Alice's. */
export const RECEIPT_FRAME: Uint8Array = FRAMES[0] ?? new Uint8Array();

function mutate(random: Random, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  if (random.once(3)) return mutateBytes(random, bytes, other);
  const names = [...NAMES, "receipt", "signature", "__proto__"];
  const changed = mutateJson(random, random.pick(SIGNED), names);
  return new TextEncoder().encode(`event: ark-receipt\ndata: ${JSON.stringify(changed)}\n\n`);
}

/** The statement at the end of a stream. */
export const receipt: FuzzTarget<Uint8Array> = {
  name: "receipt",
  promise: "A receipt is refused as unavailable, and verifies only with what the serving node signed.",
  corpus: FRAMES,
  covers: ["/src/protocol/"],
  mutate,
  check(bytes) {
    let frame: MeshFrame;
    try {
      frame = decodeFrame(bytes);
    } catch (error) {
      assert.ok(!(error instanceof ArkError) || error.code === "unavailable");
      return refusedBy(error, ArkError);
    }
    if (frame.type !== "receipt") return false;
    const { signed } = frame;
    assert.deepEqual(decodeFrame(encodeReceiptFrame(signed)), frame);
    assert.deepEqual(Object.keys(signed.receipt), NAMES.filter((name) => name !== "leaf" || "leaf" in signed.receipt));
    if (verify(alice.publicKey, receiptBytes(signed.receipt), Uint8Array.fromBase64(signed.signature))) {
      assert.ok(SIGNED.some((one) => JSON.stringify(one) === JSON.stringify(signed)), "Alice never signed this");
      return true;
    }
    return false;
  },
  show: showBytes,
  shrink: shrinkBytes,
};
