import assert from "node:assert/strict";
import fc from "fast-check";
import {
  ArkError,
  decodePairingMessage,
  decodePairingNonce,
  decodePairingState,
  LIMITS,
  PAIRING_SIDES,
} from "@ark/node/protocol";
import { almost, anyJson } from "./json_values.ts";

const session = "0f".repeat(16);
const number = "a1".repeat(32);
const MESSAGES = [
  { type: "commit", session, commitment: number },
  { type: "reveal", session, nonce: number },
  ...PAIRING_SIDES.map((state) => ({ type: "state", session, state })),
  { type: "state", session, state: "matched", name: "Dave's Ark" },
];

Deno.test("decodePairingMessage() reads every message as it is written", () => {
  for (const message of MESSAGES) assert.deepEqual(decodePairingMessage(message), message);
});

Deno.test("decodePairingMessage() cleans a name, and a name without a printable character is none", () => {
  const named = (name: string) => decodePairingMessage({ type: "state", session, state: "matched", name });
  assert.deepEqual(named("Dave\u202e\n's \u0000Ark"), { ...MESSAGES.at(-1), name: "Dave's Ark" });
  assert.deepEqual(named("\u0007"), { type: "state", session, state: "matched" });
});

Deno.test("decodePairingMessage() refuses other spellings, other types and fields of other messages", () => {
  for (
    const wrong of [
      { type: "commit", session, commitment: number.toUpperCase() },
      { type: "commit", session: session + "00", commitment: number },
      { type: "commit", session, commitment: number, nonce: number },
      { type: "commit", session, nonce: number },
      { type: "reveal", session, nonce: number + "\n" },
      { type: "state", session, state: "matched", approve: { permissions: {} } },
      { type: "state", session, state: "toString" },
      { type: "state", session, state: "matched", name: 1 },
      { type: "introduce", session },
      [],
      null,
    ]
  ) assert.throws(() => decodePairingMessage(wrong), { code: "bad_request" }, JSON.stringify(wrong));
});

Deno.test("decodePairingMessage() reads a message or throws bad_request, for any JSON value", () => {
  fc.assert(fc.property(fc.oneof(anyJson(), ...MESSAGES.map(almost)), (value) => {
    try {
      const message = decodePairingMessage(value);
      assert.match(message.session, /^[0-9a-f]{32}$/);
      if (message.type === "state") assert.ok([...message.name ?? ""].length <= LIMITS.nameLength);
      assert.deepEqual(decodePairingMessage(JSON.parse(JSON.stringify(message))), message);
    } catch (error) {
      assert.ok(error instanceof ArkError && error.code === "bad_request", String(error));
    }
  }));
});

Deno.test("decodePairingNonce() and decodePairingState() read an answer or throw unavailable, for any JSON value", () => {
  assert.deepEqual(decodePairingNonce({ nonce: number, more: 1 }), { nonce: number });
  assert.deepEqual(decodePairingState({ state: "approved", name: "Attic", more: 1 }), {
    state: "approved",
    name: "Attic",
  });
  const answers = [{ nonce: number }, { state: "matched", name: "x" }];
  fc.assert(fc.property(fc.oneof(anyJson(), ...answers.map(almost)), (value) => {
    for (const decode of [decodePairingNonce, decodePairingState]) {
      try {
        decode(value);
      } catch (error) {
        assert.ok(error instanceof ArkError && error.code === "unavailable", String(error));
      }
    }
  }));
});
