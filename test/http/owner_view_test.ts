import assert from "node:assert/strict";
import { formatPublicKey, generateIdentity } from "@ark/node/identity";
import { decodeApproval } from "@ark/node/peers";
import { discoveredPeer } from "../../src/http/admin/owner_view.ts";

const NOTED = "wg:mjxX/TCek2AIKNb+FJXps9dlzYDSu+gvPjh1vj+TSDw=";
const OTHER = "wg:irHQ54axr0N27VNk5otePv1RtYAXjt2X63eqYAztgk0=";
const { id, publicKey } = generateIdentity();

function warningOf(tunnelKeys: string[], wireguard_key?: string): string | null {
  const now = new Date().toISOString();
  const approval = {
    name: "Dave's Ark",
    public_key: formatPublicKey(publicKey),
    ...(wireguard_key && { wireguard_key }),
  };
  const peer = decodeApproval(approval, now);
  const neighbour = { id, addresses: [], sources: ["wireguard"] as const, tunnelKeys, firstSeen: now, lastSeen: now };
  return discoveredPeer(neighbour, { standing: "approved", peer }).warning;
}

Deno.test("discoveredPeer() warns of a peer in another tunnel than the owner noted, and of no other", () => {
  assert.equal(
    warningOf([NOTED, OTHER], NOTED),
    `Dave's Ark answers in the tunnel of ${OTHER}, and you noted ${NOTED}: correct the one that is wrong`,
  );
  for (const warning of [warningOf([NOTED], NOTED), warningOf([], NOTED), warningOf([OTHER])]) {
    assert.equal(warning, null);
  }
});
