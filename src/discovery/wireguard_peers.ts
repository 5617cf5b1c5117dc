import { isIPv4, isIPv6 } from "node:net";
import { isElsewhere } from "./dialable.ts";

/** A peer of a WireGuard interface that stands at one address in the tunnel. */
export interface WireGuardPeer {
  /** Its tunnel key, `wg:` and base64. It says who is at the other end of the tunnel, and grants nothing. */
  readonly key: string;
  /** Its address in the tunnel. */
  readonly hostname: string;
}

/** Most peers that are looked for: as many as mDNS remembers. */
export const MOST_WIREGUARD_PEERS = 64;

/** What the program printed; more is no list of peers that a home or an office has. */
const MOST_CHARACTERS = 256 << 10;
const INTERFACE_REGEXP = /^[A-Za-z0-9_=+.-]{1,15}$/;
/** 32 bytes in base64: the last digit before the padding has two bits to spare, which are zero. */
const KEY_REGEXP = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

/**
 * Reads what `wg show all allowed-ips` prints: a line per peer with interface, key and allowed addresses. Taken are
 * addresses of single machines (`/32` and `/128`), each once: behind a wider net stands a router, and who of the net
 * might be a node cannot be known. Total: a text of another form gives the peers of the lines that are in order.
 *
 * @param text what the program printed; of more than 256 KiB nothing is taken
 * @returns at most 64 peers, in the order of the text
 */
export function parseWireGuardPeers(text: string): WireGuardPeer[] {
  const found = new Map<string, WireGuardPeer>();
  if (text.length > MOST_CHARACTERS) return [];
  for (const line of text.split("\n")) {
    const [name = "", key = "", addresses = "", ...more] = line.split("\t");
    if (more.length > 0 || !INTERFACE_REGEXP.test(name) || !KEY_REGEXP.test(key)) continue;
    for (const address of addresses.split(" ")) {
      const hostname = singleHost(address);
      if (hostname === null || found.has(hostname)) continue;
      found.set(hostname, { key: `wg:${key}`, hostname });
      if (found.size >= MOST_WIREGUARD_PEERS) return [...found.values()];
    }
  }
  return [...found.values()];
}

/** The address in `10.0.0.2/32` or `fd00::2/128`, or null. */
function singleHost(text: string): string | null {
  const [hostname = "", bits, ...more] = text.split("/");
  const single = isIPv4(hostname) && bits === "32" || isIPv6(hostname) && bits === "128";
  return more.length === 0 && single && isElsewhere(hostname) ? hostname : null;
}
