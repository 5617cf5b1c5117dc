import type { Config } from "@ark/node/config";
import {
  type Discovery,
  FixedDiscovery,
  MdnsDiscovery,
  merge,
  RegistryClient,
  RegistryDiscovery,
  WireGuardDiscovery,
} from "@ark/node/discovery";
import type { Identity, NodeId } from "@ark/node/identity";
import type { Logger } from "@ark/node/telemetry";

/** Every way of finding others that the owner left on. */
export function discoveryOf(
  { peers, mdns, wireguard, registry, meshListen: { hostname } }: Config,
  { identity, logger, port, missing }: {
    identity: Identity;
    logger: Logger;
    port: number;
    /** Approved nodes that are not in reach. */
    missing(): readonly NodeId[];
  },
): Discovery {
  const parts: Discovery[] = [];
  if (peers.length > 0) parts.push(new FixedDiscovery(peers, { repeatMs: 2_000 }));
  if (mdns) {
    const unavailable = (sentence: string) => logger.warn(sentence);
    parts.push(new MdnsDiscovery({ id: identity.id, port, hostname, unavailable }));
  }
  if (wireguard === "auto") {
    parts.push(new WireGuardDiscovery({ unavailable: (sentence) => logger.info(sentence) }));
  }
  if (registry.url !== null) {
    const client = new RegistryClient(registry.url);
    const unavailable = (sentence: string) => logger.warn(sentence);
    parts.push(new RegistryDiscovery({ client, wanted: missing, unavailable }));
  }
  return merge(parts);
}
