import assert from "node:assert/strict";
import { isIP } from "node:net";
import { MOST_WIREGUARD_PEERS, parseWireGuardPeers } from "../../../src/discovery/wireguard_peers.ts";
import { mutateText } from "../mutate.ts";
import { type FuzzTarget, shrinkText } from "../target.ts";

const KEYS = [1, 2, 3].map((fill) => new Uint8Array(32).fill(fill).toBase64());
const DUMP = [
  `wg0\t${KEYS[0]}\t10.0.0.2/32 fd00::2/128`,
  `wg0\t${KEYS[1]}\t10.0.0.3/32 192.168.0.0/16`,
  `home-vpn\t${KEYS[2]}\t(none)`,
  "",
].join("\n");
const MANY = Array.from({ length: 70 }, (_, index) => `wg1\t${KEYS[0]}\t10.1.0.${index + 1}/32`).join("\n");

/** What `wg show all allowed-ips` prints. */
export const wireGuardDump: FuzzTarget<string> = {
  name: "wireguard_dump",
  promise: "Whatever is printed, peers are single hosts of the tunnel that stand there, each once, and at most 64.",
  corpus: [DUMP, DUMP.replaceAll("wg0", "wg1"), DUMP.split("\n")[0] ?? "", `${DUMP}${DUMP}`, "", MANY],
  covers: ["/src/discovery/wireguard_peers.ts"],
  mutate: (random, text, other) => mutateText(random, text, other),
  check(text) {
    const peers = parseWireGuardPeers(text);
    assert.ok(peers.length <= MOST_WIREGUARD_PEERS);
    assert.equal(new Set(peers.map(({ hostname }) => hostname)).size, peers.length);
    for (const { key, hostname } of peers) {
      const family = isIP(hostname);
      assert.ok(text.includes(`${hostname}/${family === 4 ? 32 : 128}`) && text.includes(key.slice(3)));
      assert.equal(Uint8Array.fromBase64(key.slice(3), { lastChunkHandling: "strict" }).length, 32);
      assert.doesNotMatch(
        hostname,
        /^(?:0|127|169\.254|22[4-9]|2[3-5]\d)\.|^fe[89ab][0-9a-f]:|^ff[0-9a-f]{2}:|%|^::1?$/i,
      );
    }
    return peers.length > 0;
  },
  show: (text) => JSON.stringify(text),
  shrink: shrinkText,
};
