import type { PeerReputation, PeerStatus } from "@ark/node/http";
import { type Command, type CommandContext, EXIT, UsageError } from "../command.ts";
import { findPeer } from "../find_peer.ts";
import { NodeClient } from "../node_client.ts";

/** Shows how far peers can be relied on. */
export const PEERS_REPUTATION: Command = {
  name: "peers reputation",
  summary: "Show how far peers can be relied on, or forget it",
  usage: "[ID|NAME]",
  flags: { reset: { help: "forget what was seen of this peer" } },
  details: `
What this node saw itself of each peer, and tells nobody. All of it fades: half in ten minutes. A
slow or failing peer is asked less, and again when it fades or the peer does better.`,
  async run(context) {
    const { out, words, flags, json } = context;
    const [typed, ...more] = words;
    if (more.length > 0) throw new UsageError("Name one peer at most: ark-node peers reputation [ID|NAME]");
    if (flags.reset === true) return await reset(context, typed);
    const node = await NodeClient.find(context);
    const all = (await node.call<{ peers: PeerReputation[] }>("/peers/reputation")).peers;
    const peers = typed === undefined ? all : all.filter(({ name, node_id }) => fits(typed, { name, node_id }));
    if (json) out.json({ peers });
    else if (peers.length === 0) {
      out.line(typed === undefined ? "No peer is approved." : `No approved peer fits ${typed}.`);
    } else {
      out.table(
        ["NAME", "RELIABLE", "SUCCESS", "COMPLETE", "IN TIME", "UPTIME", "CLAIMS TRUE", "ANSWERS"],
        peers.map((one) => [
          one.name,
          percent(one.reliability),
          percent(one.success),
          percent(one.completeness),
          percent(one.punctuality),
          percent(one.uptime),
          percent(one.honesty),
          one.answers.toFixed(0),
        ]),
      );
    }
    return EXIT.ok;
  },
};

async function reset(context: CommandContext, typed: string | undefined): Promise<number> {
  const { out, json } = context;
  if (typed === undefined) throw new UsageError("Name the peer: ark-node peers reputation ID|NAME --reset");
  const node = await NodeClient.find(context);
  const { peers } = await node.call<{ peers: PeerStatus[] }>("/peers/status");
  const body = { node_id: findPeer(typed, peers) };
  const answer = await node.call<{ node_id: string; name: string }>("/peers/reputation/reset", body);
  if (json) out.json(answer);
  else out.line(`What was seen of ${answer.name} is forgotten: it counts as one that was never asked.`);
  return EXIT.ok;
}

function fits(typed: string, { name, node_id }: { name: string; node_id: string }): boolean {
  const plain = typed.replaceAll("-", "").toLowerCase();
  return name === typed || (plain.length >= 8 && node_id.replaceAll("-", "").startsWith(plain));
}

function percent(part: number | null): string {
  return part === null ? "-" : `${Math.floor(100 * part)} %`;
}
