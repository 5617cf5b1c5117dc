import type { DiscoveredPeer, Explanation, PeerStatus } from "@ark/node/http";
import { type Command, EXIT, UsageError } from "../command.ts";
import { findPeer } from "../find_peer.ts";
import { NodeClient } from "../node_client.ts";

/** Explains a refusal. */
export const PEERS_WHY: Command = {
  name: "peers why",
  summary: "Say why a peer may not ask a model here, or you not there",
  usage: "KEY|ID|NAME MODEL",
  flags: {},
  details: "The first line is the whole answer; what follows says what to do.",
  async run(context) {
    const { out, words, json } = context;
    const [typed, model, ...more] = words;
    if (typed === undefined || model === undefined || more.length > 0) {
      throw new UsageError("Name a peer and a model: ark-node peers why KEY|ID|NAME MODEL");
    }
    const node = await NodeClient.find(context);
    const { peers } = await node.call<{ peers: PeerStatus[] }>("/peers/status");
    const { peers: near } = await node.call<{ peers: DiscoveredPeer[] }>("/peers/discovered");
    const others = near.filter(({ node_id }) => !peers.some((peer) => peer.node_id === node_id));
    const query = new URLSearchParams({ peer: findPeer(typed, [...peers, ...others]), model });
    const answer = await node.call<Explanation>(`/peers/why?${query}`);
    if (json) out.json(answer);
    else {
      const { sentence, here, there, details } = answer;
      out.line(sentence);
      for (const advice of new Set([here.advice, there.advice])) {
        if (advice !== null) out.line(`  ${advice}.`);
      }
      for (const detail of details) out.line(`  ${detail}`);
    }
    return EXIT.ok;
  },
};
