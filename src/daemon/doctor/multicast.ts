import type { Config } from "@ark/node/config";
import { type MulticastLook, probeMulticast } from "@ark/node/discovery";
import type { Finding } from "@ark/node/http";
import { openPort } from "./firewall.ts";

const CHECK = "multicast";
const MDNS_PORT = 5353;

/** Whether neighbours can be found by themselves. */
export async function multicast(
  { mdns, meshListen, peers }: Pick<Config, "mdns" | "meshListen" | "peers">,
  signal: AbortSignal,
): Promise<Finding[]> {
  if (!mdns) {
    const named = peers.length === 0 ? "" : `; ${peers.length} named with --peer`;
    return [{ check: CHECK, level: "ok", sentence: `Neighbours are not looked for by mDNS, as you set it${named}` }];
  }
  return multicastFindings(await probeMulticast(meshListen.hostname, signal), await openPort(MDNS_PORT, "udp"));
}

/** What a look at multicast means. Pure. */
export function multicastFindings({ tried, heard, code }: MulticastLook, open: string): Finding[] {
  const named = "or name each neighbour: --peer HOST:8911";
  if (heard.length > 0) {
    return [{ check: CHECK, level: "ok", sentence: `Neighbours can be found by mDNS on ${heard.join(", ")}` }];
  }
  const finding = (sentence: string, fix: string, why?: string): Finding[] => [
    { check: CHECK, level: "warning", sentence, fix, ...why === undefined ? {} : { why } },
  ];
  if (tried.length === 0) {
    return finding(
      "Neighbours cannot be found by mDNS: no network interface has an IPv4 address",
      `Connect the machine to a network, ${named}`,
    );
  }
  if (code === "EADDRINUSE") {
    return finding(
      "Neighbours cannot be found by mDNS: another program holds UDP port 5353 for itself",
      `See which one (sudo ss -lunp 'sport = :5353') and stop it, ${named}`,
    );
  }
  if (code === "EPERM" || code === "EACCES") {
    return finding(
      `Neighbours cannot be found by mDNS: this machine's own firewall keeps packets to UDP port 5353 (${code})`,
      `${open}; ${named}`,
    );
  }
  if (code !== null) {
    return finding(
      `Neighbours cannot be found by mDNS: ${tried.join(", ")} takes no multicast${
        code === "UNKNOWN" ? "" : ` (${code})`
      }`,
      `Switch it on: sudo ip link set ${tried[0]} multicast on, and sudo ip route add 224.0.0.0/4 dev ${
        tried[0]
      }; ${named}`,
    );
  }
  return finding(
    `Neighbours cannot be found by mDNS: what is sent on ${tried.join(", ")} does not come back`,
    `${open}; ${named}`,
    "A firewall of this machine most likely blocks UDP port 5353",
  );
}
