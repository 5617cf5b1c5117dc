import type { DiscoveredPeer, IgnoredJson, PairingJson } from "@ark/node/http";
import { isOpen } from "@ark/node/peers";
import { type Command, type CommandContext, EXIT, UsageError } from "../command.ts";
import { findPeer } from "../find_peer.ts";
import { NodeClient } from "../node_client.ts";

/** What `GET /peers/pending` answers. */
interface Pending {
  pending: DiscoveredPeer[];
  ignored: IgnoredJson[];
  pairings: PairingJson[];
}

const WHY = {
  ignored: "ignored",
  dismissed: "dismissed for a day",
  different: "shut out for a day: the words differed",
} as const;

/** Shows who waits for the owner. */
export const PEERS_PENDING: Command = {
  name: "peers pending",
  summary: "Show nodes that wait for you, and those that you ignore",
  usage: "",
  flags: {},
  async run(context) {
    const { out, json } = context;
    const node = await NodeClient.find(context);
    const answer = await node.call<Pending>("/peers/pending");
    if (json) {
      out.json(answer);
      return EXIT.ok;
    }
    const { pending, ignored, pairings } = answer;
    const pairing = new Set(pairings.filter(({ phase }) => isOpen(phase)).map(({ node_id }) => node_id));
    if (pending.length === 0) out.line("No node waits for you.");
    else {
      out.table(
        ["ID", "ADDRESS", "FIRST SEEN", "WANTS"],
        pending.map(({ node_id, addresses, first_seen, sources }) => [
          node_id.slice(0, 8),
          addresses[0] ?? "-",
          first_seen.slice(0, 16).replace("T", " "),
          pairing.has(node_id) ? "to pair now" : sources.includes("asked") ? "to ask you" : "nothing yet",
        ]),
      );
      out.line("\nPair with one: ark-node peers pair ID. Hear no more of one: ark-node peers ignore ID");
    }
    if (ignored.length > 0) {
      out.line();
      out.table(
        ["ID", "SINCE", "WHY"],
        ignored.map(({ node_id, since, why }) => [node_id.slice(0, 8), since.slice(0, 16).replace("T", " "), WHY[why]]),
      );
      out.line("\nTake that back: ark-node peers unignore ID");
    }
    return EXIT.ok;
  },
};

/** Ignores a node. */
export const PEERS_IGNORE: Command = {
  name: "peers ignore",
  summary: "Hear no more of a node, until you take it back",
  usage: "KEY|ID",
  flags: {},
  async run(context) {
    return await setAside(context, { path: "/peers/ignore", sentence: "You hear no more of it." });
  },
};

/** Dismisses a node for a day. */
export const PEERS_DISMISS: Command = {
  name: "peers dismiss",
  summary: "Hear no more of a node for a day",
  usage: "KEY|ID",
  flags: {},
  async run(context) {
    return await setAside(context, { path: "/peers/dismiss", sentence: "You hear no more of it for a day." });
  },
};

/** Takes it back. */
export const PEERS_UNIGNORE: Command = {
  name: "peers unignore",
  summary: "Hear of an ignored node again",
  usage: "KEY|ID",
  flags: {},
  async run(context) {
    return await setAside(context, { path: "/peers/unignore", sentence: "It may show up again." });
  },
};

async function setAside(
  context: CommandContext,
  { path, sentence }: { path: string; sentence: string },
): Promise<number> {
  const { out, words: [typed, ...more], json } = context;
  if (typed === undefined || more.length > 0) throw new UsageError("Name one node, by its key or id");
  const node = await NodeClient.find(context);
  const { pending, ignored } = await node.call<Pending>("/peers/pending");
  const answer = await node.call(path, { node_id: findPeer(typed, [...pending, ...ignored]) });
  if (json) out.json(answer);
  else out.line(sentence);
  return EXIT.ok;
}
