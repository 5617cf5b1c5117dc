import assert from "node:assert/strict";
import { generateIdentity } from "@ark/node/identity";
import { acceptInvitation } from "@ark/node/peers";
import { ArkError, formatInvitation } from "@ark/node/protocol";
import type { MeshPeer } from "@ark/node/transport";

const inviter = generateIdentity().id;
const identity = generateIdentity();

/** Where an invitation with some hints would make a node dial. */
async function dialled(hints: string[], loopback: boolean): Promise<string[]> {
  const asked: string[] = [];
  const client = {
    request(to: MeshPeer): Promise<never> {
      asked.push(...to.addresses.map(({ hostname, port }) => `${hostname} ${port}`));
      return Promise.reject(new ArkError("unavailable", "Nobody is there"));
    },
  };
  const link = formatInvitation({ inviter, hints, secret: new Uint8Array(16) });
  const options = { identity, name: "A", client, ownPort: () => 8911, loopback, addresses: () => [] };
  await assert.rejects(acceptInvitation(link, options), ArkError);
  return asked;
}

Deno.test("T16: acceptInvitation() lets no link make a node dial what only its machine or its link can reach", async () => {
  const inside = [
    "127.0.0.1:8911",
    "127.9.9.9:6379",
    "[::1]:8911",
    "localhost:8911",
    "a.localhost:8911",
    "0.0.0.0:8911",
    "[::]:8911",
    "169.254.169.254:8911",
    "224.0.0.251:5353",
    "255.255.255.255:8911",
    "[::ffff:127.0.0.1]:8911",
    "[::127.0.0.1]:8911",
    "[0:0:0:0:0:ffff:7f00:1]:8911",
    "[0:0:0:0:0:0:0:1]:8911",
    "[64:ff9b::7f00:1]:8911",
    "[fe80::1]:8911",
    "[ff02::fb]:5353",
    "192.168.1.20:22",
    "192.168.1.20:443",
    "192.168.1.20:8910",
  ];
  const outer = { loopback: false };
  for (const hint of inside) assert.deepEqual(await dialled([hint], outer.loopback), [], hint);
  const good = ["192.168.1.20:8911", "ark.example.org:9000", "[fd00::1]:8911"];
  assert.deepEqual(await dialled([...inside.slice(0, 3), ...good], outer.loopback), [
    "192.168.1.20 8911",
    "ark.example.org 9000",
    "fd00::1 8911",
  ]);
});

Deno.test("acceptInvitation() dials loopback only for a node that listens nowhere else", async () => {
  const own = { loopback: true };
  assert.deepEqual(await dialled(["127.0.0.1:8911", "localhost:8911"], own.loopback), ["127.0.0.1 8911"]);
});
