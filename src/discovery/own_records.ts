import { randomBytes } from "node:crypto";
import { isIPv4 } from "node:net";
import { type NodeId, shortId } from "@ark/node/identity";
import type { DnsRecord } from "./dns_message.ts";
import type { Link } from "./link.ts";

/** Kind of service that nodes announce. */
export const SERVICE = "_arknet._tcp.local";
/** Name under which every kind of service on the network is listed (RFC 6763 section 9). */
export const ENUMERATION = "_services._dns-sd._udp.local";

/** Time to live of records that name a host, in seconds. */
export const HOST_TTL = 120;
/** Time to live of all other records, in seconds. */
export const OTHER_TTL = 4_500;

/** Names of one announcement. They are drawn anew at every start, and tell nothing. */
export interface OwnNames {
  /** Name of the service, under {@linkcode SERVICE}. */
  readonly instance: string;
  /** Name of the host. */
  readonly host: string;
}

/** Draws names. */
export function drawNames(): OwnNames {
  return {
    instance: `${randomBytes(16).toString("hex")}.${SERVICE}`,
    host: `${randomBytes(16).toString("hex")}.local`,
  };
}

/** The records that stand for us on one link. */
export interface OwnRecords {
  /** "There are ark-nodes here"; every node says the same. */
  readonly enumeration: DnsRecord;
  /** "One of them is called so." */
  readonly pointer: DnsRecord;
  /** Host and port. */
  readonly service: DnsRecord;
  /** Version of the text, short id, version of the mesh protocol. */
  readonly text: DnsRecord;
  /** Addresses of the host. */
  readonly addresses: readonly DnsRecord[];
}

/** Builds the records for one link. */
export function ownRecords(names: OwnNames, { id, port, link }: { id: NodeId; port: number; link: Link }): OwnRecords {
  const { instance, host } = names;
  return {
    enumeration: { type: "PTR", name: ENUMERATION, ttl: OTHER_TTL, flush: false, data: SERVICE },
    pointer: { type: "PTR", name: SERVICE, ttl: OTHER_TTL, flush: false, data: instance },
    service: { type: "SRV", name: instance, ttl: HOST_TTL, flush: true, data: { port, target: host } },
    text: { type: "TXT", name: instance, ttl: OTHER_TTL, flush: true, data: ["txtvers=1", `id=${shortId(id)}`, "p=1"] },
    addresses: link.advertised.map((address) => (
      { type: isIPv4(address) ? "A" : "AAAA", name: host, ttl: HOST_TTL, flush: true, data: address }
    )),
  };
}

/** All that is announced, without being asked. */
export function announcement({ pointer, service, text, addresses }: OwnRecords): DnsRecord[] {
  return [pointer, service, text, ...addresses];
}

/** Takes everything back that {@linkcode announcement} said. */
export function goodbye(own: OwnRecords): DnsRecord[] {
  return announcement(own).map((record) => ({ ...record, ttl: 0 }));
}

/** The records that nobody else may have: before they are announced, the link is asked for them (RFC 6762 section 8.1). */
export function claimed({ service, text, addresses }: OwnRecords): DnsRecord[] {
  return [service, text, ...addresses].map((record) => ({ ...record, flush: false }));
}
