import { BlockList, isIPv4, isIPv6 } from "node:net";
import type { Link } from "./link.ts";

/** The owner's own API of any node, which no other node has business with. */
const LOCAL_API_PORT = 8910;

/** Addresses that are no machine's, or not the same machine's everywhere. */
const NEVER = new BlockList();
NEVER.addSubnet("0.0.0.0", 8, "ipv4");
NEVER.addSubnet("224.0.0.0", 3, "ipv4"); // multicast, reserved, broadcast
NEVER.addSubnet("::", 96, "ipv6"); // unspecified, and IPv4 in the old spelling
NEVER.addSubnet("64:ff9b::", 96, "ipv6"); // IPv4 behind a translator
NEVER.addSubnet("fe80::", 10, "ipv6"); // needs the interface's name
NEVER.addSubnet("ff00::", 8, "ipv6");

const PRIVATE = new BlockList();
PRIVATE.addSubnet("10.0.0.0", 8, "ipv4");
PRIVATE.addSubnet("100.64.0.0", 10, "ipv4");
PRIVATE.addSubnet("172.16.0.0", 12, "ipv4");
PRIVATE.addSubnet("192.168.0.0", 16, "ipv4");
PRIVATE.addSubnet("fc00::", 7, "ipv6");

/** This machine itself, and what its neighbours on a link gave themselves. */
const NEAR = new BlockList();
NEAR.addSubnet("127.0.0.0", 8, "ipv4");
NEAR.addSubnet("169.254.0.0", 16, "ipv4");

/**
 * Whether an address can be another machine's, wherever that is: an IPv4 or IPv6 address in any spelling that is neither
 * this machine's, nor of one link only, nor nobody's.
 */
export function isElsewhere(address: string): boolean {
  if (isIPv4(address)) return !NEVER.check(address, "ipv4") && !NEAR.check(address, "ipv4");
  if (!isIPv6(address) || address.includes("%")) return false;
  // One spelling of each, so that no rule is got past by another. IPv4 in an IPv6 spelling has no use here.
  const plain = new URL(`http://[${address}]`).hostname.slice(1, -1);
  return !plain.startsWith("::ffff:") && !NEVER.check(plain, "ipv6");
}

/** Whether a port may be the mesh listener of a node: not one of the system's, and not the local API. */
export function isDialablePort(port: number): boolean {
  return Number.isInteger(port) && port >= 1024 && port <= 65_535 && port !== LOCAL_API_PORT;
}

/**
 * Whether an address that a packet names may be dialled, so that nobody can make all nodes of a network knock on a door
 * of their choice (trust.md T16): the sender's own address, one on the link that the packet came by, or a private one
 * (a reflector carries packets between the networks of a site). Loopback only where it came by loopback.
 *
 * @param address as the packet says it
 * @param source address that the packet came from
 * @param link that it came by
 */
export function isDialable(address: string, source: string, { link }: { link: Link }): boolean {
  const family = isIPv4(address) ? "ipv4" : isIPv6(address) ? "ipv6" : null;
  // IPv4 in an IPv6 spelling has no use here but to get past rules like these.
  if (family === null || /^::ffff:/i.test(address) || address.includes("%")) return false;
  if (address === "::1" || /^127\./.test(address)) return link.loopback;
  if (NEVER.check(address, family)) return false;
  return address === source || link.subnets.check(address, family) || PRIVATE.check(address, family);
}
