import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import fc from "fast-check";
import { generateIdentity } from "@ark/node/identity";
import { der, keyInCertificate, mintCertificate, TLS_NAME, trustAnchor } from "../../src/transport/certificate.ts";

function rawKeyOf(certificate: X509Certificate): Uint8Array {
  return new Uint8Array(certificate.publicKey.export({ format: "der", type: "spki" }).subarray(-32));
}

Deno.test("mintCertificate() makes an X.509 v3 leaf for the identity's key, valid at all times", () => {
  const identity = generateIdentity();
  const pem = mintCertificate(identity);
  const certificate = new X509Certificate(pem);
  assert.equal(certificate.publicKey.asymmetricKeyType, "ed25519");
  assert.deepEqual(rawKeyOf(certificate), identity.publicKey);
  assert.equal(certificate.subject, "CN=ark");
  assert.equal(certificate.issuer, "CN=ark");
  assert.ok(!certificate.ca);
  assert.match(certificate.subjectAltName ?? "", /^DNS:node\.ark\.invalid$/);
  assert.equal(new Date(certificate.validFrom).getTime(), 0);
  assert.equal(new Date(certificate.validTo).getUTCFullYear(), 9999);
  assert.ok(certificate.raw.length < 320);
});

Deno.test("mintCertificate() signs with the identity's key: the last 64 bytes, over the part that is signed", () => {
  const identity = generateIdentity();
  const raw = new Uint8Array(new X509Certificate(mintCertificate(identity)).raw);
  // SEQUENCE 82 nn nn { TBS: SEQUENCE 81 nn …
  const tbs = raw.subarray(4, 4 + 3 + (raw[6] ?? 0));
  assert.deepEqual([tbs[0], tbs[1]], [0x30, 0x81]);
  assert.deepEqual(raw.slice(-64), identity.sign(tbs));
});

Deno.test("mintCertificate() gives every certificate a positive serial number of its own", () => {
  const identity = generateIdentity();
  const serials = Array.from({ length: 200 }, () => new X509Certificate(mintCertificate(identity)).serialNumber);
  assert.equal(new Set(serials).size, serials.length);
  for (const serial of serials) assert.ok(BigInt(`0x${serial}`) > 0 && BigInt(`0x${serial}`) < 1n << 127n);
});

Deno.test("trustAnchor() holds the key, and a subject that equals the issuer of a leaf", () => {
  const identity = generateIdentity();
  const anchor = new X509Certificate(trustAnchor(identity.publicKey));
  assert.deepEqual(rawKeyOf(anchor), identity.publicKey);
  assert.equal(anchor.subject, new X509Certificate(mintCertificate(identity)).issuer);
  assert.equal(trustAnchor(identity.publicKey), trustAnchor(new Uint8Array(identity.publicKey)));
});

Deno.test("trustAnchor() refuses bytes that are no acceptable key", () => {
  for (
    const key of [new Uint8Array(32), new Uint8Array(31), new Uint8Array(0), Uint8Array.from([1, ...Array(31).fill(0)])]
  ) {
    assert.throws(() => trustAnchor(key), TypeError);
  }
});

Deno.test("trustAnchor() keeps giving the right anchor after a great many keys", () => {
  const first = generateIdentity();
  const anchor = trustAnchor(first.publicKey);
  for (let i = 0; i < 1_030; i++) trustAnchor(generateIdentity().publicKey);
  assert.equal(trustAnchor(first.publicKey), anchor);
});

Deno.test("keyInCertificate() finds the key of a minted certificate", () => {
  for (let i = 0; i < 50; i++) {
    const identity = generateIdentity();
    const { raw } = new X509Certificate(mintCertificate(identity));
    assert.deepEqual(keyInCertificate(new Uint8Array(raw)), identity.publicKey);
  }
});

Deno.test("keyInCertificate() finds nothing in rubbish, and nothing weak", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => assert.equal(keyInCertificate(bytes), null)));
  const weak = Uint8Array.fromHex("302a300506032b6570032100" + "00".repeat(32));
  assert.equal(keyInCertificate(weak), null);
  const cut = Uint8Array.fromHex("302a300506032b6570032100" + "22".repeat(31));
  assert.equal(keyInCertificate(cut), null);
});

Deno.test("der() writes lengths in their shortest form", () => {
  for (
    const [length, header] of [[0, "0400"], [127, "047f"], [128, "048180"], [255, "0481ff"], [256, "04820100"]] as const
  ) {
    assert.equal(der(4, new Uint8Array(length)).subarray(0, header.length / 2).toHex(), header);
  }
  assert.equal(der(4, new Uint8Array(65_535)).length, 65_539);
});

Deno.test("The TLS name is one that no public authority may certify", () => assert.match(TLS_NAME, /\.invalid$/));
