import { createSocket } from "node:dgram";
import { isIPv4 } from "node:net";
import { isMac } from "@ark/node/protocol";
import { networkInterfaces } from "node:os";

/** Where a magic packet leaves and where it goes. */
export interface WakeTarget {
  /** Our own address on that network. */
  readonly from: string;
  /** The broadcast address there, or the address of the sleeping node. */
  readonly to: string;
}

/** An IPv4 address of this machine. */
export interface OwnAddress {
  /** The address. */
  readonly address: string;
  /** Its mask. */
  readonly netmask: string;
}

/** The port that is meant for what nobody reads; network cards look into packets of any port. */
export const WAKE_PORT = 9;
/** Most networks that a packet is sent to, and most addresses of one node. */
const MOST_NETWORKS = 8;
const MOST_ADDRESSES = 4;
const SEND_MS = 2_000;

/**
 * The magic packet of Wake-on-LAN for a hardware address: six times 255, then the address sixteen times. Pure.
 *
 * @throws {TypeError} where that is none.
 */
export function magicPacket(mac: string): Uint8Array<ArrayBuffer> {
  if (!isMac(mac)) throw new TypeError("A magic packet needs a hardware address such as 02:fc:00:00:00:01");
  const address = mac.split(":").map((part) => parseInt(part, 16));
  return new Uint8Array([...Array<number>(6).fill(255), ...Array.from({ length: 16 }, () => address).flat()]);
}

/**
 * Where packets are sent for a node that was at some addresses: to everybody in the networks in which it was, or in all where that is
 * none of this machine's; and to the node's own last addresses, for switches and routers that know the way. Pure.
 */
export function wakeTargets(own: readonly OwnAddress[], last: readonly string[]): WakeTarget[] {
  const networks = own.flatMap(({ address, netmask }) => {
    const broadcast = broadcastOf(address, netmask);
    return broadcast === null ? [] : { address, netmask, broadcast };
  });
  const known = last.filter((address) => isIPv4(address) && !/^(127|0|2(2[4-9]|[3-5]\d))\./.test(address));
  const near = networks.filter((network) => known.some((address) => isWithin(address, network)));
  const targets = (near.length > 0 ? near : networks).slice(0, MOST_NETWORKS).map(({ address, broadcast }) => {
    return { from: address, to: broadcast };
  });
  const direct = known.slice(0, MOST_ADDRESSES).map((to) => {
    return { from: networks.find((network) => isWithin(to, network))?.address ?? "0.0.0.0", to };
  });
  return [...new Map([...targets, ...direct].map((target) => [target.to, target])).values()];
}

/** This machine's own IPv4 addresses in real networks. */
export function ownAddresses(): OwnAddress[] {
  return Object.values(networkInterfaces()).flatMap((infos = []) => infos)
    .filter(({ address, internal }) => !internal && isIPv4(address))
    .map(({ address, netmask }) => ({ address, netmask }));
}

/** Sends one packet for each card to each target. Never rejects: a network that is down is none; returns how many were sent. */
export async function sendMagic(macs: readonly string[], targets: readonly WakeTarget[]): Promise<number> {
  const packets = macs.filter(isMac).map(magicPacket);
  const sent = await Promise.all(targets.map((target) => sendTo(target, packets)));
  return sent.reduce((sum, count) => sum + count, 0);
}

function sendTo({ from, to }: WakeTarget, packets: readonly Uint8Array[]): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const socket = createSocket({ type: "udp4" });
  let [count, left] = [0, packets.length];
  const timer = setTimeout(() => resolve(count), SEND_MS);
  socket.on("error", () => resolve(count));
  socket.bind(0, from, () => {
    try {
      // deno-lint-ignore no-boolean-literal-for-arguments -- Node's own
      socket.setBroadcast(true);
      if (left === 0) resolve(0);
      for (const packet of packets) {
        socket.send(packet, 0, packet.length, WAKE_PORT, to, (error) => {
          if (!error) count++;
          if (--left === 0) resolve(count);
        });
      }
    } catch {
      resolve(count);
    }
  });
  return promise.finally(() => {
    clearTimeout(timer);
    try {
      socket.close();
    } catch {
      // Never opened.
    }
  });
}

function broadcastOf(address: string, netmask: string): string | null {
  const [bits, mask] = [numberOf(address), numberOf(netmask)];
  // A network of one or two addresses has nobody else in it that could hear.
  if (bits === null || mask === null || (~mask >>> 0) < 3) return null;
  return [24, 16, 8, 0].map((shift) => ((bits | ~mask) >>> shift) & 255).join(".");
}

function numberOf(address: string): number | null {
  return isIPv4(address) ? address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0) : null;
}

function isWithin(address: string, { address: own, netmask }: OwnAddress): boolean {
  const [one, other, mask] = [numberOf(address), numberOf(own), numberOf(netmask)];
  return one !== null && other !== null && mask !== null && ((one ^ other) & mask) === 0;
}
