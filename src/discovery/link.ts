import { BlockList, isIPv4, isIPv6 } from "node:net";
import type { NetworkInterfaceInfo } from "node:os";

/** A network that mDNS is spoken on: an interface with an IPv4 address. */
export interface Link {
  /** Name of the interface. */
  readonly name: string;
  /** Our IPv4 address there, which packets are sent from. */
  readonly address: string;
  /** Addresses where our mesh listener can be dialled from there. */
  readonly advertised: readonly string[];
  /** Every address of ours there. */
  readonly own: ReadonlySet<string>;
  /** Addresses that are reached without a router. */
  readonly subnets: BlockList;
  /** Whether only this machine is on it. */
  readonly loopback: boolean;
  /** Text that changes when the interface does, even to one of the same name and address. */
  readonly key: string;
}

/** More interfaces than this (a host of many containers) are not served; the kernel's own limit is 20 per socket. */
const MOST_LINKS = 16;

/**
 * The networks to speak mDNS on, for a mesh listener bound to `hostname`: every interface for `0.0.0.0` and `::`, else
 * the one that has this address. Loopback only where there is nothing else, or where the listener is bound to it.
 *
 * @param interfaces as `os.networkInterfaces()` gives them.
 * @param options `loopbackToo` adds loopback where the other networks turned out not to carry multicast.
 */
export function linksFor(
  hostname: string,
  interfaces: Record<string, NetworkInterfaceInfo[] | undefined>,
  { loopbackToo = false }: { loopbackToo?: boolean } = {},
): Link[] {
  const everywhere = hostname === "0.0.0.0" || hostname === "::";
  const links: Link[] = [];
  for (const [name, infos = []] of Object.entries(interfaces)) {
    const bound = everywhere ? infos : infos.filter((info) => info.address === hostname);
    const ipv4 = (everywhere ? infos : [...bound, ...infos]).find((info) => isIPv4(info.address));
    if (ipv4 === undefined || bound.length === 0) continue;
    const advertised = bound.map((info) => info.address)
      // A link-local IPv6 address means nothing without the name that the interface has on the other machine.
      .filter((address) =>
        isIPv4(address) || (hostname !== "0.0.0.0" && isIPv6(address) && !/^fe[89ab]/i.test(address))
      );
    links.push({
      name,
      address: ipv4.address,
      advertised,
      own: new Set(infos.map((info) => info.address)),
      subnets: subnetsOf(infos),
      loopback: ipv4.internal,
      // IPv6 addresses change now and then by themselves; they matter only where they are announced.
      key: JSON.stringify([
        name,
        ipv4.mac,
        infos.filter((info) => isIPv4(info.address)).map((info) => info.cidr).sort(),
        [...advertised].sort(),
      ]),
    });
  }
  const wider = links.filter((link) => !link.loopback);
  return (wider.length > 0 && !loopbackToo ? wider : links).slice(0, MOST_LINKS);
}

/** The link that an address is on, or undefined. */
export function linkOf(address: string, links: readonly Link[]): Link | undefined {
  const family = isIPv4(address) ? "ipv4" : isIPv6(address) ? "ipv6" : null;
  if (family === null) return undefined;
  return links.find((link) => link.own.has(address)) ?? links.find((link) => link.subnets.check(address, family));
}

function subnetsOf(infos: readonly NetworkInterfaceInfo[]): BlockList {
  const subnets = new BlockList();
  for (const { address, cidr } of infos) {
    const prefix = Number(cidr?.split("/")[1]);
    if (isIPv4(address) && prefix >= 1 && prefix <= 32) subnets.addSubnet(address, prefix, "ipv4");
    if (isIPv6(address) && prefix >= 1 && prefix <= 128) subnets.addSubnet(address, prefix, "ipv6");
  }
  return subnets;
}
