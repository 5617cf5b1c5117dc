import { type Config, isLoopback } from "@ark/node/config";
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
  if (isLoopback(meshListen.hostname)) {
    return [{
      check: CHECK,
      level: "ok",
      sentence: "Other machines cannot find this node: its mesh is for this one only",
    }];
  }
  return multicastFindings(await probeMulticast(meshListen.hostname, signal), await openPort(MDNS_PORT, "udp"));
}

/** What a look at multicast means. Pure. */
export function multicastFindings({ tried, alone, heard, code }: MulticastLook, open: string): Finding[] {
  const named = "or name each neighbour: --peer HOST:8911";
  const finding = (sentence: string, fix: string, why?: string): Finding[] => [
    { check: CHECK, level: "warning", sentence, fix, ...why === undefined ? {} : { why } },
  ];
  if (alone) {
    return finding(
      "Neighbours cannot be found by mDNS: this machine is in no network",
      `Connect it to one, and see what addresses it has (ip address), ${named}`,
    );
  }
  if (heard.length > 0) {
    return [{ check: CHECK, level: "ok", sentence: `Neighbours can be found by mDNS on ${heard.join(", ")}` }];
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
  const switched = `sudo ip link set ${tried[0]} multicast on, and sudo ip route add 224.0.0.0/4 dev ${tried[0]}`;
  if (code === "UNKNOWN") {
    return finding(
      `Neighbours cannot be found by mDNS: the system refuses to send to UDP port 5353 on ${tried.join(", ")}`,
      `${open}; where no firewall does it: ${switched}; ${named}`,
      "This machine's own firewall keeps it, or that network takes no multicast",
    );
  }
  if (code !== null) {
    return finding(
      `Neighbours cannot be found by mDNS: ${tried.join(", ")} takes no multicast (${code})`,
      `Switch it on: ${switched}; ${named}`,
    );
  }
  return finding(
    `Neighbours cannot be found by mDNS: what is sent on ${tried.join(", ")} does not come back`,
    `${open}; ${named}`,
    "A firewall of this machine most likely blocks UDP port 5353",
  );
}
