import { createHash, generateKeyPairSync, type KeyObject } from "node:crypto";
import { parsePeerAddress } from "@ark/node/discovery";
import { formatNodeId, parseNodeId } from "@ark/node/identity";
import { type Command, EXIT, textFlag, UsageError } from "../command.ts";
import { findPeer } from "../find_peer.ts";
import { NodeClient } from "../node_client.ts";
import type { DiscoveredPeer, PeerStatus } from "@ark/node/http";

/** Both ends of a tunnel, as texts that `wg-quick` reads. */
export interface TunnelSuggestion {
  /** For this machine. */
  here: string;
  /** For the other one. */
  there: string;
  /** What is to be noted of the other one: `wg:` and its tunnel key. */
  wireguard_key: string;
}

/** Prints a tunnel for two nodes, ready for `wg-quick`. */
export const WG_SUGGEST: Command = {
  name: "wg suggest",
  summary: "Print a WireGuard tunnel between this node and a peer, for both sides",
  usage: "KEY|ID|NAME",
  flags: {
    endpoint: {
      value: "HOST:PORT",
      help: "where this machine can be reached from outside (default: ask you to fill it in)",
    },
    port: { value: "N", help: "port that WireGuard listens on here (default: 51820)" },
  },
  details: `
The keys are made for this tunnel and are nowhere kept: send the second part by a way that nobody else reads,
or run 'wg genkey' there and exchange public keys alone. A tunnel grants nothing: approval stays as it is, and
nodes at the other ends of tunnels are found by themselves.`,
  async run(context) {
    const { words: [typed, ...more], flags, out, json } = context;
    if (typed === undefined || more.length > 0) throw new UsageError("Name one node: ark-node wg suggest KEY|ID|NAME");
    const node = await NodeClient.find(context);
    const [{ peers }, approved, status] = await Promise.all([
      node.call<{ peers: DiscoveredPeer[] }>("/peers/discovered"),
      node.call<{ peers: PeerStatus[] }>("/peers/status"),
      node.call<{ node_id: string; name: string; mesh: string }>("/status"),
    ]);
    const known = new Map<string, { node_id: string; name?: string }>(peers.map((one) => [one.node_id, one]));
    for (const one of approved.peers) known.set(one.node_id, one);
    const id = findPeer(typed, [...known.values()]);
    const { name = id.slice(0, 8) } = known.get(formatNodeId(id)) ?? {};
    const suggestion = suggestTunnel({
      here: { id: parseNodeId(status.node_id), name: status.name },
      there: { id, name },
      endpoint: endpointOf(textFlag(flags, "endpoint")),
      port: portOf(textFlag(flags, "port")),
      meshPort: parsePeerAddress(status.mesh).port,
    });
    if (json) out.json(suggestion);
    else {
      out.line(`# This machine: /etc/wireguard/ark.conf\n${suggestion.here}`);
      out.line(`# The other machine: /etc/wireguard/ark.conf\n${suggestion.there}`);
      out.line(`# Then, on both: wg-quick up ark`);
    }
    return EXIT.ok;
  },
};

/** One end of a tunnel. */
interface End {
  id: string;
  name: string;
}

/** Makes a tunnel with keys of its own. Both nodes get addresses that follow from their ids: the same pair, the same net. */
export function suggestTunnel(
  { here, there, endpoint, port, meshPort }: {
    here: End;
    there: End;
    endpoint: string;
    port: number;
    meshPort: number;
  },
): TunnelSuggestion {
  const [first, second] = [here.id, there.id].sort();
  // A /64 of the range for private networks, RFC 4193.
  const bytes = createHash("sha256").update(`ark-wg ${first} ${second}`).digest("hex");
  const net = `fd${bytes.slice(0, 2)}:${bytes.slice(2, 6)}:${bytes.slice(6, 10)}:${bytes.slice(10, 14)}`;
  const [mine, theirs] = here.id === first ? [`${net}::1`, `${net}::2`] : [`${net}::2`, `${net}::1`];
  const [ours, others] = [tunnelKeys(), tunnelKeys()];
  return {
    here: `[Interface]
# ${here.name}
PrivateKey = ${ours.secret}
Address = ${mine}/128
ListenPort = ${port}

[Peer]
# ${there.name}; its node listens at [${theirs}]:8911
PublicKey = ${others.open}
AllowedIPs = ${theirs}/128
`,
    there: `[Interface]
# ${there.name}
PrivateKey = ${others.secret}
Address = ${theirs}/128

[Peer]
# ${here.name}; its node listens at [${mine}]:${meshPort}
PublicKey = ${ours.open}
AllowedIPs = ${mine}/128
Endpoint = ${endpoint}
PersistentKeepalive = 25
`,
    wireguard_key: `wg:${others.open}`,
  };
}

function tunnelKeys(): { secret: string; open: string } {
  const { privateKey, publicKey } = generateKeyPairSync("x25519");
  return { secret: rawKey(privateKey, "d"), open: rawKey(publicKey, "x") };
}

function rawKey(key: KeyObject, part: "d" | "x"): string {
  const { [part]: text = "" } = key.export({ format: "jwk" });
  return Uint8Array.fromBase64(text, { alphabet: "base64url" }).toBase64();
}

function endpointOf(text: string | undefined): string {
  if (text === undefined) return "PUBLIC-NAME-OF-THE-FIRST-MACHINE:51820";
  if (/^(?:\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?):\d{1,5}$/i.test(text)) return text;
  throw new UsageError(`Cannot use --endpoint ${text}: it is an address such as home.example:51820`);
}

function portOf(text: string | undefined): number {
  const port = Number(text ?? "51820");
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new UsageError(`Cannot use --port ${text}: it is a whole number from 1 to 65535`);
}
