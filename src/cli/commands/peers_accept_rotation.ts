import { formatNodeId } from "@ark/node/identity";
import type { ApprovedPeer, PeerRotation } from "@ark/node/peers";
import { type Command, CommandError, EXIT, UsageError } from "../command.ts";
import { NodeClient } from "../node_client.ts";

/** Lets a peer go on under a new key. */
export const PEERS_ACCEPT_ROTATION: Command = {
  name: "peers accept-rotation",
  summary: "Let a peer go on under the new key that its old one signed",
  usage: "ID|NAME",
  flags: {},
  details: `
The peer keeps its permissions, and its old key is treated as revoked. ID is its old or its new id, of which
the first 8 characters do. Where its key may have been stolen, ask its owner first whether the new id is his.`,
  async run(context) {
    const { out, words, json } = context;
    const [typed, ...more] = words;
    if (typed === undefined || more.length > 0) {
      throw new UsageError("Name one peer: ark-node peers accept-rotation ID|NAME");
    }
    const node = await NodeClient.find(context);
    const { rotations } = await node.call<{ rotations: PeerRotation[] }>("/peers/rotations");
    const answer = await node.call<{ accepted: ApprovedPeer; revoked: string; summary: string }>(
      "/peers/rotations/accept",
      { node_id: waiting(typed, rotations).new },
    );
    if (json) out.json(answer);
    else out.line(`${answer.summary}\nIts id is ${formatNodeId(answer.accepted.node_id)} now; the old one is revoked.`);
    return EXIT.ok;
  },
};

function waiting(typed: string, rotations: readonly PeerRotation[]): PeerRotation {
  const plain = typed.replaceAll(/[-\s]/g, "").toLowerCase();
  const fits = rotations.filter(({ name, ...ids }) =>
    name === typed || (plain.length >= 8 && [ids.old, ids.new].some((id) => id.replaceAll("-", "").startsWith(plain)))
  );
  const [first, second] = fits;
  if (first === undefined) throw new CommandError(`No approved peer has told of a new key that fits ${typed}`);
  if (second !== undefined) throw new CommandError(`Several peers fit ${typed}: write more of the id`);
  return first;
}
