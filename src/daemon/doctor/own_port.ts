import { isIPv4 } from "node:net";
import { networkInterfaces } from "node:os";
import type { Finding } from "@ark/node/http";
import { formatAddress, type PeerAddress } from "@ark/node/transport";

const CONNECT_MS = 3_500;
const MOST = 4;

/** Every address of this machine. */
export function ownAddresses(): Set<string> {
  return new Set(Object.values(networkInterfaces()).flatMap((infos) => infos?.map(({ address }) => address) ?? []));
}

/**
 * Whether this machine itself gets through to its mesh listener by its addresses in the network. Most firewalls let a machine
 * speak to itself, so that it works says nothing, and there is no finding then.
 */
export async function ownPort(
  mesh: PeerAddress,
  { openMesh, signal }: { openMesh: string; signal: AbortSignal },
): Promise<Finding[]> {
  const everywhere = mesh.hostname === "0.0.0.0" || mesh.hostname === "::";
  const addresses = Object.values(networkInterfaces()).flatMap((infos) => infos ?? [])
    .filter(({ address, internal }) => everywhere ? !internal && isIPv4(address) : address === mesh.hostname)
    .slice(0, MOST).map(({ address }) => ({ hostname: address, port: mesh.port }));
  if (addresses.length === 0) return [];
  const reached = await Promise.all(addresses.map((address) => connects(address, signal)));
  if (reached.some((one) => one)) return [];
  return [{
    check: "inbound",
    level: "warning",
    sentence: `Not even this machine reaches its own mesh listener at ${formatAddress(addresses[0] ?? mesh)}`,
    why: `A firewall of this machine most likely blocks TCP port ${mesh.port}, so no other node can connect`,
    fix: openMesh,
  }];
}

async function connects(address: PeerAddress, signal: AbortSignal): Promise<boolean> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), CONNECT_MS);
  try {
    (await Deno.connect({ ...address, signal: AbortSignal.any([signal, stop.signal]) })).close();
    return true;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}
