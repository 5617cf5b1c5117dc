import assert from "node:assert/strict";
import fc from "fast-check";
import { createSignatureSync } from "http-message-sig";
import { verify } from "@ark/node/identity";
import { baseBytes } from "../../src/transport/message_signature.ts";
import { isPlainTarget, parseSignedHead } from "../../src/transport/signed_request.ts";
import { identityOfSeed, parsed, type RawRequest, signed, withFields } from "./mesh_fixture.ts";
import { inputForms, signatureForms } from "./signature_forms.ts";

const alice = identityOfSeed(1);
const bob = identityOfSeed(2);
const NONCE = "AAAAAAAAAAAAAAAAAAAAAA";
const GOLDEN = {
  method: "POST",
  target: "/ark/v1/infer?trace=1&x=%20",
  contentType: "application/json",
  contentLength: 13,
  contentDigest: "sha-256=:RMHbGWOC6PCzhHafPV/uhPtUlMDZbqqak+SKi3W/OfQ=:",
  to: bob.id,
  deadlineMs: 120_000,
  created: 1_790_000_000,
  nonce: NONCE,
};
const request = signed(alice, { ...GOLDEN, body: `{"hello":"b"}` });

function accepted(candidate: RawRequest): boolean {
  const head = parseSignedHead(parsed(candidate));
  return head !== null && head.keyId === alice.id && head.to === bob.id &&
    verify(alice.publicKey, baseBytes(head.base), head.signature);
}

Deno.test("signRequest() signs these bytes and no others", () => {
  const head = parseSignedHead(parsed(request));
  assert.ok(head !== null);
  assert.equal(
    head.base,
    [
      `"@method": POST`,
      `"@authority": node.ark.invalid`,
      `"@path": /ark/v1/infer`,
      `"@query": ?trace=1&x=%20`,
      `"content-type": application/json`,
      `"content-length": 13`,
      `"content-digest": sha-256=:RMHbGWOC6PCzhHafPV/uhPtUlMDZbqqak+SKi3W/OfQ=:`,
      `"ark-to": ${bob.id}`,
      `"ark-deadline": 120000`,
      `"@signature-params": ("@method" "@authority" "@path" "@query" "content-type" "content-length" ` +
      `"content-digest" "ark-to" "ark-deadline");created=1790000000;expires=1790000060;` +
      `nonce="AAAAAAAAAAAAAAAAAAAAAA";keyid="${alice.id}";alg="ed25519";tag="ark-peer/1"`,
    ].join("\n"),
  );
  // Ed25519 is deterministic; this signature was made by OpenSSL.
  assert.equal(alice.id, "rkeohxlubhyzl7ks3mwtzos5olfgocn7dwkbeg7toseadnapn5oagztr");
  assert.equal(
    head.signature.toBase64(),
    "+pKT7dFGOOcUYhYbNXpikXL1KdDRl8HIqRz64BSIxoxkYzTvGNvPppvVciAKIslhhaeIAf+MPLlKvc6pjqzzBA==",
  );
  assert.ok(accepted(request));
});

Deno.test("parseSignedHead() reads back everything that was signed", () => {
  const head = parseSignedHead(parsed(request));
  assert.ok(head !== null);
  const { base: _base, signature: _signature, ...rest } = head;
  assert.deepEqual(rest, { ...GOLDEN, serverNonce: null, keyId: alice.id });
  const own = "B".repeat(26) + "A";
  const other = parseSignedHead(parsed(signed(alice, { ...GOLDEN, nonce: `${own}.${NONCE}` })));
  assert.equal(other?.serverNonce, own);
  assert.equal(other?.nonce, `${own}.${NONCE}`);
});

Deno.test("signRequest() makes the signature base that another implementation of RFC 9421 makes", () => {
  const path = fc.stringMatching(/^(?:\/[a-z0-9._~-]{0,8}){1,4}$/).filter(isPlainTarget);
  const query = fc.oneof(fc.constant(""), fc.stringMatching(/^\?[a-z0-9=&%+:/?-]{1,20}$/));
  const head = fc.record({
    method: fc.constantFrom("GET", "POST"),
    target: fc.tuple(path, query).map((parts) => parts.join("")).filter(isPlainTarget),
    contentType: fc.stringMatching(/^[a-z]{1,9}\/[a-z]{1,9}(?:; [a-z]{1,5}="[a-z ]{0,5}")?$/),
    contentLength: fc.nat(),
    contentDigest: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((hash) => `sha-256=:${hash.toBase64()}:`),
    deadlineMs: fc.integer({ min: 1, max: 999_999_999 }),
    created: fc.integer({ min: 0, max: 900_000_000_000 }),
    nonce: fc.stringMatching(/^(?:[A-Za-z0-9_-]{27}\.)?[A-Za-z0-9_-]{22}$/),
  });
  fc.assert(fc.property(head, (head) => {
    const raw = signed(alice, { ...head, to: bob.id });
    const ours = parseSignedHead(parsed(raw));
    assert.ok(ours !== null);
    let theirs = new Uint8Array(0);
    const fields = createSignatureSync({
      kind: "request",
      method: raw.method,
      targetUri: `https://node.ark.invalid${raw.target}`,
      fields: raw.fields.map(([name, value]) => ({ name, value })),
    }, {
      label: "ark",
      // deno-fmt-ignore
      components: [
        "@method", "@authority", "@path", "@query", "content-type", "content-length", "content-digest", "ark-to",
        "ark-deadline",
      ],
      parameters: {
        created: head.created,
        expires: head.created + 60,
        nonce: head.nonce,
        keyid: alice.id,
        alg: "ed25519",
        tag: "ark-peer/1",
      },
      signer: {
        algorithm: "ed25519",
        sign: (data) => {
          theirs = new Uint8Array(data);
          return alice.sign(data);
        },
      },
    });
    assert.equal(ours.base, new TextDecoder().decode(theirs));
    assert.deepEqual(fields, {
      signatureInput: raw.fields.find(([name]) => name === "Signature-Input")?.[1],
      signature: raw.fields.find(([name]) => name === "Signature")?.[1],
    });
  }));
});

Deno.test("A signed request does not survive the change of any one character of what is covered", () => {
  const places: { length: number; change: (at: number, to: string) => RawRequest }[] = [
    ...request.fields.map(([name, value]) => ({
      length: value.length,
      change: (at: number, to: string) => withFields(request, { [name]: spoil(value, { at, to }) }),
    })),
    {
      length: request.target.length,
      change: (at, to) => ({ ...request, target: spoil(request.target, { at, to }) }),
    },
    {
      length: request.method.length,
      change: (at, to) => ({ ...request, method: spoil(request.method, { at, to }) }),
    },
  ];
  const others = [...' aB09=:;,"/-\t\u00e9', "", "aa"];
  let count = 0;
  for (const { length, change } of places) {
    for (let at = 0; at < length; at++) {
      for (const to of others) {
        const spoilt = change(at, to);
        if (JSON.stringify(spoilt) === JSON.stringify(request)) continue;
        assert.ok(!accepted(spoilt), JSON.stringify(spoilt));
        count++;
      }
    }
  }
  assert.ok(count > 5_000);
});

Deno.test("A signed request does not survive another value of any covered component", () => {
  const changes: Record<string, RawRequest> = {
    method: { ...request, method: "GET" },
    path: { ...request, target: "/ark/v1/other?trace=1&x=%20" },
    query: { ...request, target: "/ark/v1/infer?trace=2&x=%20" },
    "no query": { ...request, target: "/ark/v1/infer" },
    "content-type": withFields(request, { "Content-Type": "text/plain" }),
    "content-length": withFields(request, { "Content-Length": "14" }),
    "content-digest": withFields(request, {
      "Content-Digest": `sha-256=:${"A".repeat(43)}=:`,
    }),
    "ark-to": withFields(request, { "Ark-To": alice.id }),
    "ark-deadline": withFields(request, { "Ark-Deadline": "120001" }),
    host: withFields(request, { Host: "node.ark.invalid:8911" }),
    signature: withFields(request, { Signature: `ark=:${bob.sign(new Uint8Array(1)).toBase64()}:` }),
  };
  for (const [what, spoilt] of Object.entries(changes)) assert.ok(!accepted(spoilt), what);
});

const INPUT = request.fields.find(([name]) => name === "Signature-Input")?.[1] ?? "";
const SIGNATURE = request.fields.find(([name]) => name === "Signature")?.[1] ?? "";

Deno.test("parseSignedHead() takes no other form of Signature-Input", () => {
  const forms = inputForms(INPUT, { nonce: NONCE, keyId: alice.id });
  for (const [what, form] of Object.entries(forms)) {
    assert.notEqual(form, INPUT, what);
    assert.equal(parseSignedHead(parsed(withFields(request, { "Signature-Input": form }))), null, what);
  }
});

Deno.test("parseSignedHead() takes no other form of Signature", () => {
  const forms = signatureForms(SIGNATURE);
  for (const [what, form] of Object.entries(forms)) {
    assert.equal(parseSignedHead(parsed(withFields(request, { Signature: form }))), null, what);
  }
});

Deno.test("parseSignedHead() takes each field that counts exactly once", () => {
  for (const [name, value] of request.fields) {
    assert.equal(parseSignedHead(parsed(withFields(request, { [name]: null }))), null, `no ${name}`);
    for (const twice of [name, name.toLowerCase(), name.toUpperCase()]) {
      for (const second of [value, "x", ""]) {
        const fields = [...request.fields, [twice, second] as [string, string]];
        assert.equal(parseSignedHead(parsed({ ...request, fields })), null, `two ${name}`);
        assert.equal(parseSignedHead(parsed({ ...request, fields: fields.toReversed() })), null, `two ${name}`);
      }
    }
  }
});

Deno.test("parseSignedHead() refuses fields that change what the covered ones mean", () => {
  for (const name of ["Transfer-Encoding", "content-encoding", "EXPECT", "Upgrade", "Trailer"]) {
    const fields = [...request.fields, [name, "x"] as [string, string]];
    assert.equal(parseSignedHead(parsed({ ...request, fields })), null, name);
  }
});

Deno.test("parseSignedHead() takes no value of a covered field that could be read in two ways, although it is signed", () => {
  assert.ok(accepted(signed(alice, { ...GOLDEN, contentType: 'a/b; c="d e"' })));
  for (const contentType of ["", " ", " a/b", "a/b ", "a/b\t", "a\tb", "a/b\u00e9", "a/b\0", "a/b\r\n", "a/b\x7f"]) {
    const raw = signed(alice, { ...GOLDEN, contentType });
    assert.equal(parseSignedHead(parsed(raw)), null, JSON.stringify(contentType));
  }
  for (const [name, value] of request.fields) {
    for (const other of ["", ` ${value}`, `${value} `, `${value}\t`, `${value}\n`, `${value}\u00e9`, `\0${value}`]) {
      assert.equal(parseSignedHead(parsed(withFields(request, { [name]: other }))), null, JSON.stringify(other));
    }
  }
});

Deno.test("parseSignedHead() does not care for the order of fields, their case and fields that mean nothing", () => {
  const more: [string, string][] = [["Accept", "*/*"], ["Accept", "x"], ["Cookie", "\u00e9"]];
  assert.ok(accepted({ ...request, fields: [...more, ...request.fields.toReversed()] }));
  assert.ok(accepted({ ...request, fields: request.fields.map(([name, value]) => [name.toUpperCase(), value]) }));
});

Deno.test("parseSignedHead() refuses other methods, and numbers in another spelling", () => {
  for (const method of ["", "get", "PUT", "HEAD", "OPTIONS", "CONNECT", "PRI"]) {
    assert.equal(parseSignedHead(parsed({ ...request, method })), null, method);
  }
  for (const length of ["-1", "+13", "013", "13.0", "0x0d", "13, 13", "1e1", "99999999999"]) {
    assert.equal(parseSignedHead(parsed(withFields(request, { "Content-Length": length }))), null, length);
  }
  for (const deadline of ["0", "-1", "01", "1e3", "9999999999", "1 ", " 1"]) {
    assert.equal(parseSignedHead(parsed(withFields(request, { "Ark-Deadline": deadline }))), null, deadline);
  }
});

Deno.test("isPlainTarget() takes what every reader understands alike", () => {
  for (const target of ["/", "/ark/v1/offer", "/a?b", "/a?b=c&d=%20", "/a%2fb", "//a", "/a?b?c", "/a/b:c@d"]) {
    assert.ok(isPlainTarget(target), target);
  }
  // deno-fmt-ignore
  const bad = [
    "", "a", "*", "https://node.ark.invalid/a", "/a b", "/a#b", "/a\\b", "/../a", "/a/./b", "/a/..", "/%2e%2e/a", "/?",
    "/a\tb", "/a\r\nb", "/\u00e9", "/a\0", "?a", "/a\x7f",
  ];
  for (const target of bad) assert.ok(!isPlainTarget(target), JSON.stringify(target));
});

Deno.test("isPlainTarget() takes only what a URL parser leaves as it is", () => {
  const character = fc.constantFrom(..."aZ09-_/.%2eE?&=:@~");
  fc.assert(fc.property(fc.string({ unit: character, maxLength: 12 }), (text) => {
    const url = URL.parse(`https://node.ark.invalid/${text}`);
    assert.equal(isPlainTarget(`/${text}`), url !== null && url.pathname + url.search === `/${text}`);
  }));
});

Deno.test("parseSignedHead() refuses a target in another form, although it is signed by the letter", () => {
  for (const target of ["/../a", "/a#b", "/a\\b", "https://node.ark.invalid/a", "*", "/a b"]) {
    const raw = signed(alice, { ...GOLDEN, target });
    assert.equal(parseSignedHead(parsed(raw)), null, target);
  }
});

Deno.test("T06: parseSignedHead() accepts no form of Signature-Input or Signature that was changed at random", () => {
  const character = fc.oneof(
    fc.constantFrom(...'()";:=, \t.\\@*-_/+Ark019zZ', "created=", '"date"', ";bs", ";sf"),
    fc.string({ maxLength: 2 }),
  );
  const edit = fc.record({
    field: fc.constantFrom("Signature-Input", "Signature"),
    at: fc.nat(),
    drop: fc.nat({ max: 4 }),
    add: character,
  });
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
      const forms: Record<string, string> = { "Signature-Input": INPUT, Signature: SIGNATURE };
      for (const { field, at, drop, add } of edits) {
        const form = forms[field] ?? "";
        const place = at % (form.length + 1);
        forms[field] = form.slice(0, place) + add + form.slice(place + drop);
      }
      const same = forms["Signature-Input"] === INPUT && forms["Signature"] === SIGNATURE;
      assert.equal(accepted(withFields(request, forms)), same);
    }),
    { numRuns: Deno.env.get("ARK_LONG") === "1" ? 1_000_000 : 5_000 },
  );
});

Deno.test("parseSignedHead() is total, and accepts nothing that was put together at random", () => {
  const name = fc.oneof(fc.constantFrom(...request.fields.map(([name]) => name)), fc.string());
  const value = fc.oneof(fc.constantFrom(...request.fields.map(([, value]) => value)), fc.string());
  const fields = fc.array(fc.tuple(name, value), { maxLength: 12 });
  fc.assert(fc.property(fc.string(), fc.string(), fields, (method, target, fields) => {
    const head = parseSignedHead({ method, target, rawHeaders: fields.flat() });
    assert.ok(head === null || !verify(alice.publicKey, baseBytes(head.base), head.signature));
  }));
  assert.equal(parseSignedHead({ method: "GET", target: "/", rawHeaders: ["Host"] }), null);
});

function spoil(text: string, { at, to }: { at: number; to: string }): string {
  return text.slice(0, at) + to + text.slice(at + 1);
}
