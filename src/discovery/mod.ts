/**
 * Where other nodes might be. A {@linkcode Sighting} is a hint to dial an address and nothing else: anybody on the
 * network can send one, so who answers there is decided by the key that is proven in the handshake (`transport`), and
 * what that node may do by the owner's approval (`peers`).
 *
 * - {@linkcode MdnsDiscovery}: tells the local network where our mesh listener is, and hears where others are
 *   (multicast DNS, service `_arknet._tcp`). It shows a random name, the port and 8 characters of the node id: no name
 *   of a person or a machine, no model.
 * - {@linkcode FixedDiscovery}: addresses that the owner named (`--peer HOST:PORT`).
 * - {@linkcode WireGuardDiscovery}: peers of this machine's WireGuard interfaces, which multicast does not reach.
 * - {@linkcode merge}: several discoveries as one.
 *
 * Promised: {@linkcode Discovery.discover} never fails because of the network or of what others send; it goes on until
 * it is aborted, and then says goodbye where it announced itself. Not promised: that a sighting is true, or that every
 * neighbour is seen. Multicast does not cross routers, WireGuard or the guest mode of access points, and mDNS is spoken
 * over IPv4 only, since Deno cannot set the hop limit of IPv6 multicast; `--peer` is there for all of them.
 *
 * @example
 * ```ts
 * import { FixedDiscovery, merge, parsePeerAddress } from "@ark/node/discovery";
 *
 * const stop = new AbortController();
 * const discovery = merge([new FixedDiscovery([parsePeerAddress("attic.local", 8911)])]);
 * for await (const { address, gone } of discovery.discover(stop.signal)) {
 *   console.log(address.hostname, address.port, gone); // attic.local 8911 false
 *   stop.abort();
 * }
 * ```
 *
 * @module
 */
export { isDialablePort, isElsewhere } from "./dialable.ts";
export * from "./discovery.ts";
export * from "./fixed_discovery.ts";
export * from "./mdns_discovery.ts";
export * from "./merge.ts";
export * from "./peer_address.ts";
export * from "./multicast_probe.ts";
export * from "./wireguard_discovery.ts";
export type { WireGuardPeer } from "./wireguard_peers.ts";
export { RegistryClient, type RegistryListing, type RegistryNodes } from "./registry_client.ts";
export { RegistryDiscovery, type RegistryDiscoveryOptions } from "./registry_discovery.ts";
