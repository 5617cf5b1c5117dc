import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { isIPv4, isIPv6 } from "node:net";
import fc from "fast-check";
import { parseWireGuardPeers } from "../../src/discovery/wireguard_peers.ts";

const KEY = "mjxX/TCek2AIKNb+FJXps9dlzYDSu+gvPjh1vj+TSDw=";
const OTHER = "irHQ54axr0N27VNk5otePv1RtYAXjt2X63eqYAztgk0=";

function hosts(addresses: string): string[] {
  return parseWireGuardPeers(`wg0\t${KEY}\t${addresses}\n`).map(({ hostname }) => hostname);
}

Deno.test("parseWireGuardPeers() finds peers that stand at addresses of their own, each with its tunnel key", () => {
  const text =
    `wg0\t${KEY}\t10.99.0.2/32 fd00::2/128\nhome\t${OTHER}\t192.168.7.0/24 10.99.0.3/32\nwg1\t${OTHER}\t(none)\n`;
  assert.deepEqual(parseWireGuardPeers(text), [
    { key: `wg:${KEY}`, hostname: "10.99.0.2" },
    { key: `wg:${KEY}`, hostname: "fd00::2" },
    { key: `wg:${OTHER}`, hostname: "10.99.0.3" },
  ]);
  assert.deepEqual(parseWireGuardPeers(""), []);
});

Deno.test("parseWireGuardPeers() tells an address once, of the first peer that has it", () => {
  const text = `wg0\t${KEY}\t10.99.0.2/32 10.99.0.2/32\nwg1\t${OTHER}\t10.99.0.2/32\n`;
  assert.deepEqual(parseWireGuardPeers(text), [{ key: `wg:${KEY}`, hostname: "10.99.0.2" }]);
});

Deno.test.each([
  "(none)",
  "0.0.0.0/0",
  "::/0",
  "10.0.0.0/8",
  "10.0.0.2/31",
  "10.0.0.2/032",
  "10.0.0.2",
  "fd00::2/64",
  "10.0.0.2/32/32",
  "10.0.0.2/128",
  "fd00::2/32",
  "127.0.0.1/32",
  "0.0.0.0/32",
  "169.254.169.254/32",
  "224.0.0.251/32",
  "255.255.255.255/32",
  "::1/128",
  "::/128",
  "::ffff:10.0.0.2/128",
  "fe80::1/128",
  "fe80::1%wg0/128",
  "ff02::1/128",
  "2130706433/32",
  "0x7f.1/32",
  "attic.local/32",
])("parseWireGuardPeers() takes no machine from %s", (address) => assert.deepEqual(hosts(address), []));

Deno.test("parseWireGuardPeers() leaves out lines that are not in order, and keeps the others", () => {
  const good = `wg0\t${KEY}\t10.99.0.2/32`;
  for (
    const bad of [
      `wg0\t${KEY.slice(0, -2)}A=\t10.99.0.9/32`.replace("A=\t", "B=\t"),
      `wg0\t${KEY.slice(1)}\t10.99.0.9/32`,
      `wg0\t${KEY}\t10.99.0.9/32\tmore`,
      `wg 0\t${KEY}\t10.99.0.9/32`,
      `${"w".repeat(16)}\t${KEY}\t10.99.0.9/32`,
      `wg0 ${KEY} 10.99.0.9/32`,
      `\t\t`,
    ]
  ) {
    const found = parseWireGuardPeers(`${bad}\n${good}\n`).map(({ hostname }) => hostname);
    assert.deepEqual(found, ["10.99.0.2"], bad);
  }
});

Deno.test("parseWireGuardPeers() takes at most 64 peers, and nothing of an endless text", () => {
  const lines = Array.from({ length: 200 }, (_, i) => `wg0\t${randomBytes(32).toString("base64")}\t10.99.1.${i}/32\n`);
  assert.equal(parseWireGuardPeers(lines.join("")).length, 64);
  assert.deepEqual(parseWireGuardPeers(`${lines[1]}${"\n".repeat(256 << 10)}`), []);
});

Deno.test("parseWireGuardPeers() gives keys and single addresses or nothing, whatever it reads", () => {
  const piece = fc.oneof(
    fc.constantFrom("\t", "\n", " ", "/32", "/128", "wg0", KEY, "10.0.0.1/32", "fd00::1/128", "(none)", "%", "::ffff:"),
    fc.string({ maxLength: 8, unit: "binary" }),
    fc.ipV4(),
    fc.ipV6(),
  );
  const runs = Deno.env.get("ARK_LONG") === "1" ? 1_000_000 : 5_000;
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 24 }), (pieces) => {
      for (const { key, hostname } of parseWireGuardPeers(pieces.join(""))) {
        assert.match(key, /^wg:[A-Za-z0-9+/]{43}=$/);
        assert.ok(isIPv4(hostname) || isIPv6(hostname));
      }
    }),
    { numRuns: runs },
  );
});
