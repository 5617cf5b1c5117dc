import type { PeerStatus, WakeResult } from "@ark/node/http";
import { type Command, EXIT, UsageError } from "../command.ts";
import { findPeer } from "../find_peer.ts";
import { NodeClient } from "../node_client.ts";

/** Wakes a node. */
export const WAKE: Command = {
  name: "wake",
  summary: "Wake one of your own nodes by its network card, and wait for it",
  usage: "NAME|ID",
  flags: {},
  details:
    `Requests wake it by themselves when only it has the model (--wake-seconds). Both nodes must have approved each other
with --own, it must have been within reach once, and its firmware and network card must be set to Wake-on-LAN.`,
  async run(context) {
    const { out, words, json } = context;
    const [typed, ...more] = words;
    if (typed === undefined || more.length > 0) throw new UsageError("Name one of your nodes: ark-node wake NAME");
    const node = await NodeClient.find(context);
    const { peers } = await node.call<{ peers: PeerStatus[] }>("/peers/status");
    const answer = await node.call<WakeResult>("/peers/wake", { node_id: findPeer(typed, peers) });
    if (json) out.json(answer);
    else out.line(`${answer.sentence}.`);
    return answer.awake ? EXIT.ok : EXIT.failed;
  },
};
