import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { inspect } from "node:util";
import { generateIdentity, Identity, nodeIdOf, verify } from "@ark/node/identity";

Deno.test("generateIdentity() makes a different key each time, with the id of its public key", () => {
  const [one, other] = [generateIdentity(), generateIdentity()];
  assert.notEqual(one.id, other.id);
  assert.equal(one.id, nodeIdOf(one.publicKey));
});

Deno.test("Identity.privateKeyPem() carries the whole identity", () => {
  const identity = generateIdentity();
  const copy = new Identity(identity.privateKeyPem());
  assert.equal(copy.id, identity.id);
  const message = new TextEncoder().encode("ark-test/1\n");
  assert.ok(verify(identity.publicKey, message, copy.sign(message)));
});

Deno.test("Identity refuses every other text without repeating it", () => {
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "pem", type: "pkcs8" });
  const x25519 = generateKeyPairSync("x25519").privateKey.export({ format: "pem", type: "pkcs8" });
  const pub = generateKeyPairSync("ed25519").publicKey.export({ format: "pem", type: "spki" });
  for (const text of ["", "secret text", String(ec), String(x25519), String(pub)]) {
    assert.throws(() => new Identity(text), (error) => {
      assert.ok(error instanceof SyntaxError);
      return text === "" || !error.message.includes(text);
    });
  }
});

Deno.test("Identity does not show its private key when it is printed", () => {
  const identity = generateIdentity();
  const secret = identity.privateKeyPem().split("\n")[1] ?? "";
  assert.ok(secret.length > 40);
  for (
    const text of [inspect(identity, { showHidden: true, depth: 9 }), Deno.inspect(identity), JSON.stringify(identity)]
  ) {
    assert.ok(!text.includes(secret));
  }
});
