import assert from "node:assert/strict";
import fc from "fast-check";
import { createSignatureSync } from "http-message-sig";
import { signResponse, verifyResponse } from "../../src/transport/signed_response.ts";
import { identityOfSeed, signed } from "./mesh_fixture.ts";

const alice = identityOfSeed(1);
const bob = identityOfSeed(2);
const REQUEST = new Uint8Array(64).fill(7);
const HEAD = { status: 200, contentType: "text/event-stream", request: REQUEST, created: 1_790_000_000 };
const EXPECTED = { id: bob.id, key: bob.publicKey, request: REQUEST };

function answer(changes: Record<string, string | null> = {}, status = 200): { status: number; headers: Headers } {
  const headers = new Headers({ "content-type": HEAD.contentType, ...signResponse(bob, HEAD) });
  for (const [name, value] of Object.entries(changes)) value === null ? headers.delete(name) : headers.set(name, value);
  return { status, headers };
}

Deno.test("verifyResponse() accepts what signResponse() signed", () => {
  assert.ok(verifyResponse(answer(), EXPECTED));
});

Deno.test("verifyResponse() refuses an answer of somebody else, to another request, or with anything changed", () => {
  const { signature } = signResponse(bob, HEAD);
  const other = signResponse(alice, HEAD);
  const spoilt: Record<string, { status: number; headers: Headers }> = {
    status: answer({}, 201),
    "content-type": answer({ "content-type": "text/html" }),
    "no content-type": answer({ "content-type": null }),
    "another sender": answer({ "ark-from": alice.id }),
    "no sender": answer({ "ark-from": null }),
    "signed by somebody else": answer({ ...other }),
    "signed by somebody else in the name of Bob": answer({ signature: other.signature }),
    "no signature": answer({ signature: null }),
    "no signature input": answer({ "signature-input": null }),
    "two signatures": answer({ signature: `${signature}, ${signature}` }),
    "another time": answer({
      "signature-input": signResponse(bob, { ...HEAD, created: HEAD.created + 1 })["signature-input"],
    }),
    "the profile of requests": answer({
      "signature-input": answer().headers.get("signature-input")?.replace("ark-peer-resp/1", "ark-peer/1") ?? "",
    }),
    "fewer components": answer({
      "signature-input": answer().headers.get("signature-input")?.replace(`"@status" `, "") ?? "",
    }),
  };
  for (const [what, response] of Object.entries(spoilt)) assert.ok(!verifyResponse(response, EXPECTED), what);
  const another = new Uint8Array(64).fill(8);
  assert.ok(!verifyResponse(answer(), { ...EXPECTED, request: another }));
  assert.ok(!verifyResponse(answer(), { ...EXPECTED, key: alice.publicKey }));
  assert.ok(!verifyResponse(answer(), { ...EXPECTED, id: alice.id }));
});

Deno.test("signResponse() signs what another implementation of RFC 9421 signs", () => {
  const request = signed(alice, { to: bob.id, created: 1_790_000_000 });
  const requestSignature = request.fields.find(([name]) => name === "Signature")?.[1] ?? "";
  const bytes = Uint8Array.fromBase64(requestSignature.slice("ark=:".length, -1));
  fc.assert(
    fc.property(
      fc.integer({ min: 200, max: 599 }),
      fc.constantFrom("text/plain", "a/b; c=d"),
      (status, contentType) => {
        const ours = signResponse(bob, { status, contentType, request: bytes, created: 1_790_000_001 });
        const theirs = createSignatureSync({
          kind: "response",
          status,
          fields: [{ name: "content-type", value: contentType }, { name: "ark-from", value: bob.id }],
          request: {
            kind: "request",
            method: "GET",
            targetUri: "https://node.ark.invalid/ark/v1/offer",
            fields: request.fields.map(([name, value]) => ({ name, value })),
          },
        }, {
          label: "ark",
          components: ["@status", "content-type", "ark-from", {
            name: "signature",
            parameters: { req: true, key: "ark" },
          }],
          parameters: { created: 1_790_000_001, keyid: bob.id, alg: "ed25519", tag: "ark-peer-resp/1" },
          signer: { algorithm: "ed25519", sign: (data) => bob.sign(data) },
        });
        assert.deepEqual(
          { signatureInput: ours["signature-input"], signature: ours.signature, from: ours["ark-from"] },
          { ...theirs, from: bob.id },
        );
      },
    ),
  );
});
