import assert from "node:assert/strict";
import {
  ArkError,
  decodeFrame,
  decodeInferenceEvent,
  decodeOffer,
  encodeReceiptFrame,
  type SignedReceipt,
} from "@ark/node/protocol";
import { isCount } from "../../src/protocol/count.ts";

const RECEIPT = {
  request: "a",
  stream: "b",
  model: "m",
  digest: null,
  prompt_tokens: 1,
  completion_tokens: 2,
  finish_reason: "stop",
} as const;

Deno.test("isCount() takes whole numbers from 0 on, in the one spelling of each", () => {
  for (const count of [0, 1, Number.MAX_SAFE_INTEGER]) assert.ok(isCount(count));
  for (const other of [-0, -1, 0.5, NaN, Infinity, 2 ** 53, "1", null, undefined, 1n]) assert.ok(!isCount(other));
});

Deno.test("A count of -0 is none, wherever a peer writes it", () => {
  const start = JSON.parse('{"type":"start","model":"m","digest":null,"prompt_tokens":-0}');
  assert.throws(() => decodeInferenceEvent(start), ArkError);
  const offer = decodeOffer(JSON.parse('{"name":"n","ready":true,"max_concurrent_requests":-0,"models":[]}'));
  assert.ok(Object.is(offer.max_concurrent_requests, 0));
  const frame = `event: ark-receipt\ndata: ${
    JSON.stringify({ receipt: RECEIPT, signature: `${"A".repeat(86)}==` }).replace(
      '"prompt_tokens":1',
      '"prompt_tokens":-0',
    )
  }\n\n`;
  assert.throws(() => decodeFrame(new TextEncoder().encode(frame)), ArkError);
});

Deno.test("decodeFrame() takes a receipt's signature in one spelling only", () => {
  const frameOf = (last: string) =>
    encodeReceiptFrame({ receipt: RECEIPT, signature: `${"A".repeat(85)}${last}==` } satisfies SignedReceipt);
  for (const last of "AQgw") assert.equal(decodeFrame(frameOf(last)).type, "receipt");
  for (const last of "BPRfhvxz09+/") assert.throws(() => decodeFrame(frameOf(last)), ArkError, last);
});
