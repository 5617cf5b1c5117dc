import assert from "node:assert/strict";
import { generateIdentity } from "@ark/node/identity";
import { parseWireguardKey } from "../../src/peers/wireguard_key.ts";
import { suggestTunnel } from "../../src/cli/commands/wg_suggest.ts";

function field(text: string, name: string): string {
  return new RegExp(`^${name} = (.+)$`, "m").exec(text)?.[1] ?? assert.fail(`no ${name}`);
}

/** The public key of a secret one, as `wg pubkey` works it out. */
async function openKey(secret: string): Promise<string> {
  // RFC 8410: what stands before the 32 bytes of a secret key for X25519.
  const der = Uint8Array.from([
    ...Uint8Array.fromHex("302e020100300506032b656e04220420"),
    ...Uint8Array.fromBase64(secret),
  ]);
  // deno-lint-ignore no-boolean-literal-for-arguments -- whether it may be exported
  const key = await crypto.subtle.importKey("pkcs8", der, { name: "X25519" }, true, ["deriveBits"]);
  const { x = "" } = await crypto.subtle.exportKey("jwk", key);
  return Uint8Array.fromBase64(x, { alphabet: "base64url" }).toBase64();
}

Deno.test("suggestTunnel() makes two ends that fit each other, with the same addresses for the same nodes", async () => {
  const [a, b] = [{ id: generateIdentity().id, name: "A" }, { id: generateIdentity().id, name: "B" }];
  const rest = { endpoint: "home.example:51820", port: 51_820, meshPort: 8911 };
  const one = suggestTunnel({ here: a, there: b, ...rest });
  const other = suggestTunnel({ here: b, there: a, ...rest });
  for (const { here, there, wireguard_key } of [one, other]) {
    assert.equal(field(here, "Address"), field(there, "AllowedIPs"));
    assert.equal(field(there, "Address"), field(here, "AllowedIPs"));
    assert.equal(await openKey(field(here, "PrivateKey")), field(there, "PublicKey"));
    assert.equal(await openKey(field(there, "PrivateKey")), field(here, "PublicKey"));
    assert.equal(parseWireguardKey(wireguard_key), wireguard_key);
    assert.equal(wireguard_key, `wg:${field(here, "PublicKey")}`);
    assert.match(field(here, "Address"), /^fd[0-9a-f]{2}:[0-9a-f]{4}:[0-9a-f]{4}:[0-9a-f]{4}::[12]\/128$/);
  }
  assert.equal(field(one.here, "Address"), field(other.there, "Address"));
  assert.notEqual(field(one.here, "PrivateKey"), field(other.there, "PrivateKey"));
});
