import assert from "node:assert/strict";
import fc from "fast-check";
import { generateIdentity, publicKeyOf } from "@ark/node/identity";
import {
  ArkError,
  decodeInvitationAnswer,
  decodeInvitationProof,
  formatInvitation,
  isHint,
  parseInvitation,
} from "@ark/node/protocol";
import { almost, anyJson } from "./json_values.ts";

const { id: inviter } = generateIdentity();
const hint = fc.oneof(
  fc.ipV4(),
  fc.ipV6().map((address) => `[${address.toLowerCase()}]`),
  fc.constantFrom("attic.local", "ark.example.org"),
).chain((host) => fc.integer({ min: 1, max: 65_535 }).map((port) => `${host}:${port}`)).filter(isHint);
const secret = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Uint8Array.from(bytes));

Deno.test("parseInvitation() reads what formatInvitation() writes, however it was wrapped on its way", () => {
  fc.assert(fc.property(fc.array(hint, { maxLength: 8 }), secret, fc.nat(), (hints, secret, at) => {
    const link = formatInvitation({ inviter, hints, secret });
    const cut = at % link.length;
    assert.deepEqual(parseInvitation(`  ${link.slice(0, cut)} \r\n ${link.slice(cut)}\n`), { inviter, hints, secret });
  }));
});

Deno.test("parseInvitation() finds a changed character of the key, and refuses what is no invitation", () => {
  const link = formatInvitation({ inviter, hints: ["192.168.1.20:8911"], secret: new Uint8Array(16) });
  const typo = inviter[0] === "a" ? "b" : "a";
  for (
    const [wrong, sentence] of [
      ["", /no invitation/],
      [link.slice(0, -1), /no invitation, or not all of it/],
      [link.replace("ark:1:", "ark:2:"), /no invitation/],
      [link.replace(inviter, typo + inviter.slice(1)), /damaged on its way/],
      [link.slice(0, -1) + "B", /its last character is wrong/],
      [link.replace(":8911", ":0"), /cannot be dialled/],
      [link.replace(":8911", ":70000"), /cannot be dialled/],
      [link.replace("192.168.1.20", "user@host"), /cannot be dialled/],
      [link.replace("192.168.1.20", "x/../y"), /cannot be dialled/],
      [link.replace(":192", ":" + "1.2.3.4:5000,".repeat(8) + "192"), /cannot be dialled/],
      [link.replace(":192", ":" + "x".repeat(2_000) + "192"), /at most 1024 characters/],
    ] as const
  ) {
    assert.throws(
      () => parseInvitation(wrong),
      (error) => error instanceof SyntaxError && sentence.test(error.message),
    );
  }
});

Deno.test("parseInvitation() reads an invitation that it would write again, or throws a SyntaxError, for any text", () => {
  const link = formatInvitation({ inviter, hints: ["10.0.0.1:8911", "[fd00::1]:8911"], secret: new Uint8Array(16) });
  const spoilt = fc.tuple(fc.nat(link.length), fc.nat(4), fc.string({ unit: "binary", maxLength: 4 }))
    .map(([at, count, text]) => link.slice(0, at) + text + link.slice(at + count));
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary" }), spoilt), (text) => {
      try {
        const read = parseInvitation(text);
        publicKeyOf(read.inviter);
        assert.equal(read.secret.length, 16);
        assert.ok(read.hints.length <= 8 && read.hints.every(isHint));
        assert.equal(formatInvitation(read), text.replaceAll(/\s/g, ""));
      } catch (error) {
        assert.ok(error instanceof SyntaxError, String(error));
      }
    }),
    { numRuns: 200 },
  );
});

Deno.test("decodeInvitationProof() and decodeInvitationAnswer() are total", () => {
  const proof = { invitation: "ab".repeat(32), proof: "cd".repeat(64), name: "Mom's Ark" };
  assert.deepEqual(decodeInvitationProof(proof), proof);
  for (const more of [{ permissions: {} }, { node_id: inviter }, { invitation: "AB".repeat(32) }, { name: null }]) {
    assert.throws(() => decodeInvitationProof({ ...proof, ...more }), { code: "bad_request" });
  }
  fc.assert(fc.property(fc.oneof(anyJson(), almost(proof)), (value) => {
    for (
      const [decode, code] of [[decodeInvitationProof, "bad_request"], [decodeInvitationAnswer, "unavailable"]] as const
    ) {
      try {
        decode(value);
      } catch (error) {
        assert.ok(error instanceof ArkError && error.code === code, String(error));
      }
    }
  }));
});
