/** What of RFC 9421 and RFC 9530 is general in `transport`, against the texts' own examples and another implementation. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { createSignatureSync, verifySignature } from "http-message-sig";
import { Identity, verify } from "@ark/node/identity";
import { baseBytes, type Component, contentDigest, signatureBase } from "../../src/transport/message_signature.ts";
import { isPlainTarget, parseSignedHead } from "../../src/transport/signed_request.ts";
import { signResponse, verifyResponse } from "../../src/transport/signed_response.ts";
import { identityOfSeed, parsed, type RawRequest, signed } from "./mesh_fixture.ts";

const LONG = Deno.env.get("ARK_LONG") === "1";

/** RFC 9421 appendix B.1.4. */
const RFC_KEY = new Identity(
  "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n-----END PRIVATE KEY-----\n",
);

/** RFC 9421 appendix B.2, `test-request`. */
const RFC_REQUEST = `POST /foo?param=Value&Pet=dog HTTP/1.1
Host: example.com
Date: Tue, 20 Apr 2021 02:07:55 GMT
Content-Type: application/json
Content-Digest: sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:
Content-Length: 18

{"hello": "world"}`;

const RFC_SIGNATURE = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";

/** Components of a request on the wire, in the given order. */
function componentsOf(request: string, names: readonly string[]): Component[] {
  const [head = ""] = request.split("\n\n");
  const [line = "", ...fields] = head.split("\n");
  const [method = "", target = ""] = line.split(" ");
  const field = (name: string) =>
    fields.find((one) => one.toLowerCase().startsWith(`${name}: `))?.slice(name.length + 2) ?? assert.fail(name);
  const derived: Record<string, string> = {
    "@method": method,
    "@path": target.split("?")[0] ?? "",
    "@query": `?${target.split("?")[1] ?? ""}`,
    "@authority": field("host"),
  };
  return names.map((name): Component => [`"${name}"`, derived[name] ?? field(name)]);
}

Deno.test("signatureBase() makes of the request of RFC 9421 B.2.6 the base and the signature that stand there", () => {
  assert.equal(
    RFC_KEY.publicKey.toBase64(),
    "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=",
  );
  const names = ["date", "@method", "@path", "@authority", "content-type", "content-length"];
  const list = names.map((name) => `"${name}"`).join(" ");
  const base = signatureBase(componentsOf(RFC_REQUEST, names), `(${list});created=1618884473;keyid="test-key-ed25519"`);
  assert.equal(
    base,
    `"date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@authority": example.com
"content-type": application/json
"content-length": 18
"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`,
  );
  // Ed25519 is deterministic, so the value itself can be compared.
  assert.equal(RFC_KEY.sign(baseBytes(base)).toBase64(), RFC_SIGNATURE);
  assert.ok(verify(RFC_KEY.publicKey, baseBytes(base), Uint8Array.fromBase64(RFC_SIGNATURE)));
});

Deno.test("baseBytes() are the bytes of the text, however long it is, and whatever was encoded before", () => {
  for (
    const text of ["a".repeat(9_000), "b".repeat(8_192), "c", "", "\u00e9".repeat(4_096), "\u00e9".repeat(4_097), "dd"]
  ) {
    assert.deepEqual(baseBytes(text).toHex(), new TextEncoder().encode(text).toHex());
  }
});

Deno.test("contentDigest() is that of RFC 9530", () => {
  const digest = contentDigest(new TextEncoder().encode(`{"hello": "world"}`));
  assert.equal(digest, "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:");
});

const alice = identityOfSeed(1);
const bob = identityOfSeed(2);

const COMPONENTS = [
  "@method",
  "@authority",
  "@path",
  "@query",
  "content-type",
  "content-length",
  "content-digest",
  "ark-to",
  "ark-deadline",
];

const HEADS = fc.record({
  method: fc.constantFrom("GET", "POST"),
  target: fc.tuple(
    fc.stringMatching(/^(?:\/[a-z0-9._~-]{0,8}){1,4}$/).filter(isPlainTarget),
    fc.oneof(fc.constant(""), fc.stringMatching(/^\?[a-z0-9=&%+:/?-]{1,20}$/)),
  ).map((parts) => parts.join("")).filter(isPlainTarget),
  contentType: fc.stringMatching(/^[a-z]{1,9}\/[a-z]{1,9}(?:; [a-z]{1,5}="[a-z ]{0,5}")?$/),
  body: fc.string({ maxLength: 80 }),
  deadlineMs: fc.integer({ min: 1, max: 999_999_999 }),
  created: fc.integer({ min: 1, max: 900_000_000_000 }),
  nonce: fc.stringMatching(/^(?:[A-Za-z0-9_-]{27}\.)?[A-Za-z0-9_-]{22}$/),
});

function messageOf(raw: RawRequest, fields = raw.fields) {
  return {
    kind: "request" as const,
    method: raw.method,
    targetUri: `https://node.ark.invalid${raw.target}`,
    fields: fields.map(([name, value]) => ({ name, value })),
  };
}

/** Whether the other implementation accepts a request as one of Alice's. */
async function theyAccept(raw: RawRequest, created: number): Promise<boolean> {
  try {
    const found = await verifySignature(messageOf(raw), {
      label: "ark",
      policy: {
        algorithms: ["ed25519"],
        requiredComponents: COMPONENTS,
        requiredParameters: ["created", "expires", "nonce", "keyid", "alg", "tag"],
        now: created,
        validate: ({ parameters }) => parameters.keyid === alice.id && parameters.tag === "ark-peer/1",
      },
      resolveVerifier: () => ({
        algorithm: "ed25519",
        verify: (data: Uint8Array, signature: Uint8Array) => verify(alice.publicKey, data, signature),
      }),
    });
    return found.label === "ark";
  } catch {
    return false;
  }
}

function weAccept(raw: RawRequest): boolean {
  const head = parseSignedHead(parsed(raw));
  return head !== null && head.keyId === alice.id && verify(alice.publicKey, baseBytes(head.base), head.signature);
}

Deno.test("T06: What we sign, another implementation of RFC 9421 verifies, and nothing that was changed", async () => {
  const change = fc.record({ field: fc.nat(), at: fc.nat(), to: fc.constantFrom("a", "0", "9", "?", "=", ";") });
  await fc.assert(
    fc.asyncProperty(HEADS, change, async (head, { field, at, to }) => {
      const raw = signed(alice, { ...head, to: bob.id });
      assert.ok(await theyAccept(raw, head.created));
      assert.ok(weAccept(raw));
      const index = field % raw.fields.length;
      const [name, value] = raw.fields[index] ?? assert.fail();
      const spoilt = value.slice(0, at % value.length) + to + value.slice(at % value.length + 1);
      if (spoilt === value) return;
      const changed = { ...raw, fields: raw.fields.with(index, [name, spoilt]) };
      assert.ok(!weAccept(changed), `${name}: ${spoilt}`);
      // The other one does not hold the host against the address, knows no profile, and forgives bits that are not used.
      const same = name === "Signature" && spoilt.slice(0, -4) === value.slice(0, -4);
      if (name !== "Host" && name !== "Signature-Input" && !same) {
        assert.ok(!await theyAccept(changed, head.created), name);
      }
    }),
    { numRuns: LONG ? 20_000 : 200 },
  );
});

Deno.test("T06: What another implementation of RFC 9421 signs by our profile, we verify, and no other list of components", () => {
  const order = fc.shuffledSubarray(COMPONENTS, { minLength: 1 });
  fc.assert(
    fc.property(HEADS, order, (head, others) => {
      const ours = signed(alice, { ...head, to: bob.id });
      const plain = ours.fields.filter(([name]) => !name.startsWith("Signature"));
      const sign = (components: string[]): RawRequest => {
        const { signature, signatureInput } = createSignatureSync(messageOf(ours, plain), {
          label: "ark",
          components,
          parameters: {
            created: head.created,
            expires: head.created + 60,
            nonce: head.nonce,
            keyid: alice.id,
            alg: "ed25519",
            tag: "ark-peer/1",
          },
          signer: { algorithm: "ed25519", sign: (data) => alice.sign(data) },
        });
        return { ...ours, fields: [...plain, ["Signature-Input", signatureInput], ["Signature", signature]] };
      };
      assert.ok(weAccept(sign(COMPONENTS)));
      assert.equal(weAccept(sign(others)), others.join() === COMPONENTS.join());
    }),
    { numRuns: LONG ? 20_000 : 200 },
  );
});

Deno.test("Another implementation of RFC 9421 verifies the signature of an answer, bound to its request", async () => {
  const request = signed(alice, { to: bob.id });
  const signature = Uint8Array.fromBase64(request.fields.at(-1)?.[1].slice(5, -1) ?? "");
  const head = { status: 200, contentType: "text/event-stream", request: signature, created: 1_790_000_000 };
  const fields = { "content-type": head.contentType, ...signResponse(bob, head) };
  assert.ok(
    verifyResponse({ status: 200, headers: new Headers(fields) }, {
      id: bob.id,
      key: bob.publicKey,
      request: signature,
    }),
  );
  const verified = (status: number, to: RawRequest) =>
    verifySignature({
      kind: "response",
      status,
      fields: Object.entries(fields).map(([name, value]) => ({ name, value })),
      request: messageOf(to),
    }, {
      label: "ark",
      policy: {
        algorithms: ["ed25519"],
        requiredComponents: ["@status", "content-type", "ark-from"],
        requiredParameters: ["created", "keyid", "tag"],
        now: head.created,
      },
      resolveVerifier: () => ({
        algorithm: "ed25519",
        verify: (data: Uint8Array, bytes: Uint8Array) => verify(bob.publicKey, data, bytes),
      }),
    });
  assert.equal((await verified(200, request)).label, "ark");
  await assert.rejects(verified(201, request));
  await assert.rejects(verified(200, signed(alice, { to: bob.id })));
});
