import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type Receipt, RECEIPT_DOMAIN, receiptBytes } from "@ark/node/protocol";

const RECEIPT: Receipt = {
  request: "11".repeat(32),
  stream: "22".repeat(32),
  model: 'arkling:9m "é"',
  digest: "33".repeat(32),
  prompt_tokens: 12,
  completion_tokens: 345,
  finish_reason: "stop",
};

Deno.test("receiptBytes() is this text, byte for byte: signatures of released nodes depend on it", () => {
  assert.equal(RECEIPT_DOMAIN, "ark-receipt/1\n");
  assert.equal(
    new TextDecoder().decode(receiptBytes(RECEIPT)),
    `ark-receipt/1\n{"request":"${"11".repeat(32)}","stream":"${"22".repeat(32)}","model":"arkling:9m \\"é\\"",` +
      `"digest":"${"33".repeat(32)}","prompt_tokens":12,"completion_tokens":345,"finish_reason":"stop"}`,
  );
  const sha256 = createHash("sha256").update(receiptBytes(RECEIPT)).digest("hex");
  assert.equal(sha256, "563d78e8d7d07de9421e4513075edb1fb1d62892b2bdcbe8e62ffacf97e823ba");
});

Deno.test("receiptBytes() signs the fields of the type in their order, and nothing else", () => {
  const shuffled = { note: "x", ...Object.fromEntries(Object.entries(RECEIPT).reverse()) } as unknown as Receipt;
  assert.deepEqual(receiptBytes(shuffled), receiptBytes(RECEIPT));
  assert.match(new TextDecoder().decode(receiptBytes({ ...RECEIPT, digest: null })), /"digest":null,"prompt_tokens"/);
  for (const key of Object.keys(RECEIPT) as (keyof Receipt)[]) {
    assert.notDeepEqual(receiptBytes({ ...RECEIPT, [key]: "other" }), receiptBytes(RECEIPT), key);
  }
});
