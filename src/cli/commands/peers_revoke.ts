import type { PeerStatus } from "@ark/node/http";
import type { ApprovedPeer } from "@ark/node/peers";
import { type Command, EXIT, UsageError } from "../command.ts";
import { findPeer } from "../find_peer.ts";
import { NodeClient } from "../node_client.ts";

/** Takes an approval back. */
export const PEERS_REVOKE: Command = {
  name: "peers revoke",
  summary: "Take an approval back; running requests are cut at once",
  usage: "KEY|ID|NAME",
  flags: {},
  async run(context) {
    const { out, words, json } = context;
    const [typed, ...more] = words;
    if (typed === undefined || more.length > 0) {
      throw new UsageError("Name one peer: ark-node peers revoke KEY|ID|NAME");
    }
    const node = await NodeClient.find(context);
    const { peers } = await node.call<{ peers: PeerStatus[] }>("/peers/status");
    const answer = await node.call<{ revoked: ApprovedPeer; recorded: boolean }>("/peers/revoke", {
      node_id: findPeer(typed, peers),
    });
    if (json) out.json(answer);
    else out.line(`${answer.revoked.name} may do nothing here any more, and is asked nothing.`);
    if (!answer.recorded) out.note("ark-node: It is revoked, but that could not be recorded in the audit log.");
    return EXIT.ok;
  },
};
