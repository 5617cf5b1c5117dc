/**
 * Links, records and messages that tests of mDNS are made of.
 *
 * @module
 */
import { BlockList } from "node:net";
import type { DnsMessage, DnsRecord } from "../../src/discovery/dns_message.ts";
import type { Link } from "../../src/discovery/link.ts";

/** Id of the node under test. */
export const ID = "aaaabbbb".repeat(7);

/** A link on `192.168.1.0/24` where we are `.1`, or loopback. */
export function link({ loopback = false }: { loopback?: boolean } = {}): Link {
  const name = loopback ? "lo" : "eth0";
  const address = loopback ? "127.0.0.1" : "192.168.1.1";
  const subnets = new BlockList();
  subnets.addSubnet(address, loopback ? 8 : 24, "ipv4");
  return { name, address, advertised: [address], own: new Set([address]), subnets, loopback, key: name };
}

/** A response with these answers. */
export function response(answers: DnsRecord[], additionals: DnsRecord[] = []): DnsMessage {
  return { id: 0, response: true, truncated: false, questions: [], answers, additionals, authorities: [] };
}

/** A query for one name, with what the asker knows already. */
export function query(
  name: string,
  type: string,
  options: Partial<DnsMessage> & { unicast?: boolean } = {},
): DnsMessage {
  const { unicast = false, ...rest } = options;
  const questions = [{ name, type, unicast }];
  return {
    id: 0,
    response: false,
    truncated: false,
    questions,
    answers: [],
    additionals: [],
    authorities: [],
    ...rest,
  };
}

/** What a node at an address says about itself. */
export function announced(
  { label = "other", port = 8911, address = "192.168.1.7", id = "ccccdddd", ttl = 120 }: {
    label?: string;
    port?: number;
    address?: string;
    id?: string;
    ttl?: number;
  } = {},
): DnsRecord[] {
  const instance = `${label}._arknet._tcp.local`;
  const host = `${label}.local`;
  return [
    { type: "PTR", name: "_arknet._tcp.local", ttl: ttl && 4_500, flush: false, data: instance },
    { type: "SRV", name: instance, ttl, flush: true, data: { port, target: host } },
    { type: "TXT", name: instance, ttl: ttl && 4_500, flush: true, data: ["txtvers=1", `id=${id}`, "p=1"] },
    { type: address.includes(":") ? "AAAA" : "A", name: host, ttl, flush: true, data: address },
  ];
}
