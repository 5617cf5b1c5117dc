import type { DiscoveredPeer, PeerStatus } from "@ark/node/http";
import { describePermissions, type PeerRotation } from "@ark/node/peers";
import { type Command, EXIT } from "../command.ts";
import { NodeClient } from "../node_client.ts";
import type { Output } from "../output.ts";
import { stateLook } from "../state_look.ts";

/** Shows the approved peers. */
export const PEERS_LIST: Command = {
  name: "peers list",
  summary: "Show approved peers, and how each stands",
  usage: "",
  flags: {},
  async run(context) {
    const { out } = context;
    const node = await NodeClient.find(context);
    const { peers, fault } = await node.call<{ peers: PeerStatus[]; fault: string | null }>("/peers/status");
    const { rotations } = await node.call<{ rotations: PeerRotation[] }>("/peers/rotations");
    if (context.json) {
      out.json({ peers, rotations, fault });
      return EXIT.ok;
    }
    if (fault !== null) out.note(`ark-node: ${fault}`);
    if (peers.length === 0) {
      out.line("No peer is approved: 'ark-node peers discovered' shows who is near.");
      return EXIT.ok;
    }
    out.table(
      ["NAME", "ID", "STATE", "ROUND TRIP", "MODELS FOR US"],
      peers.map((peer) => [
        peer.name,
        short(peer.node_id),
        peer.state.replace("_", " "),
        peer.round_trip_ms === null ? "-" : `${peer.round_trip_ms.toFixed(1)} ms`,
        peer.models.join(", ") || "-",
      ]),
      { keep: [0, 1, 2, 3], look: (cell, column) => column === 2 ? stateLook(cell) : "plain" },
    );
    out.line();
    for (const { name, permissions, expires_at, state, reason, verified, own, node_id } of peers) {
      out.line(describePermissions(name, permissions, expires_at ?? null));
      if (own) out.line(`  ${name} is a node of yours.`);
      if (verified === false) {
        out.line(`  ${name} is not verified: compare words with its owner, ark-node peers pair ${short(node_id)}.`);
      }
      if (reason !== null) out.line(`  ${name} is ${state.replace("_", " ")}: ${reason}.`);
    }
    showRotations(out, rotations);
    return EXIT.ok;
  },
};

/** Shows who is near. */
export const PEERS_DISCOVERED: Command = {
  name: "peers discovered",
  summary: "Show nodes that are near, each with its proven key",
  usage: "",
  flags: {},
  details: "A node that is pending can do nothing here until you approve it.",
  async run(context) {
    const { out } = context;
    const node = await NodeClient.find(context);
    const { peers } = await node.call<{ peers: DiscoveredPeer[] }>("/peers/discovered");
    const { rotations } = await node.call<{ rotations: PeerRotation[] }>("/peers/rotations");
    if (context.json) {
      out.json({ peers, rotations });
      return EXIT.ok;
    }
    if (peers.length === 0) {
      out.line(
        "Nobody is near yet: start ark-node on another machine of this network, or name one with --peer HOST:PORT.",
      );
      return EXIT.ok;
    }
    out.table(
      ["STATE", "ID", "ADDRESS", "FOUND BY"],
      peers.map(({ state, node_id, addresses, sources }) => [state, node_id, addresses[0] ?? "-", sources.join(", ")]),
      { fit: "stack", look: (cell, column) => column === 0 ? stateLook(cell) : "plain" },
    );
    for (const { warning } of peers) if (warning !== null) out.line(`\n${warning}`);
    if (peers.some(({ state }) => state === "pending")) {
      out.line(
        "\nPair with one: ark-node peers pair ID. Or compare the id with what 'ark-node id' shows there: peers approve ID",
      );
    }
    showRotations(out, rotations);
    return EXIT.ok;
  },
};

/** Peers that go on under a new key, each with what to do. */
function showRotations(out: Output, rotations: readonly PeerRotation[]): void {
  for (const { sentence } of rotations) out.line(`\n${sentence}.`);
}

function short(id: string): string {
  return id.slice(0, 8);
}
