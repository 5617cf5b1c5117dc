import type { DiscoveredPeer } from "@ark/node/http";
import type { CommandContext } from "./command.ts";
import type { NodeClient } from "./node_client.ts";
import type { TypedLines } from "./typed_lines.ts";

/** How long a person waits for the first node to be found: the answers of mDNS take a second or two. */
const SEARCH_MS = 10_000;
const MOST_SHOWN = 9;

/**
 * Shows a person which nodes are near and wait for an owner's word, and asks which one to pair with. Returns its id, or
 * null where there is none or none is wanted.
 */
export async function chooseNearby(
  node: NodeClient,
  { context: { out }, lines }: { context: CommandContext; lines: TypedLines },
): Promise<string | null> {
  const near = await search(node, () => out.status("Looking for nodes nearby …"));
  out.status("");
  if (near.length === 0) return null;
  out.line(near.length === 1 ? "A node is near that you have not approved:" : "Nodes near that you have not approved:");
  for (const [at, { node_id, addresses: [address = "-"] }] of near.entries()) {
    out.line(`  ${at + 1}  ${node_id.slice(0, 8)}  ${address}`);
  }
  for (;;) {
    out.text(
      near.length === 1 ? "Pair with it? Yes or no [yes]: " : `Pair with which one? 1 to ${near.length}, or no: `,
    );
    const typed = await lines.next();
    if (typed === null || /^(no?|c(ancel)?)$/i.test(typed)) return null;
    if (near.length === 1 && /^(|y(es)?|1)$/i.test(typed)) return near[0]?.node_id ?? null;
    const chosen = near[Number(typed) - 1];
    if (typed !== "" && chosen !== undefined) return chosen.node_id;
  }
}

async function search(node: NodeClient, waiting: () => void): Promise<DiscoveredPeer[]> {
  const until = performance.now() + SEARCH_MS;
  for (;;) {
    const { peers } = await node.call<{ peers: DiscoveredPeer[] }>("/peers/discovered");
    const near = peers.filter(({ state }) => state === "pending").slice(0, MOST_SHOWN);
    if (near.length > 0 || performance.now() > until) return near;
    waiting();
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}
