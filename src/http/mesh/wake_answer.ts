import type { NodeId } from "@ark/node/identity";
import type { ApprovedPeer } from "@ark/node/peers";
import { ArkError, type WakeFacts } from "@ark/node/protocol";

/**
 * How this node is woken, for the owner's other nodes. To anybody else there is no such request.
 *
 * @throws {ArkError} `bad_request`
 */
export async function wakeAnswer(
  { nodeId }: { nodeId: NodeId },
  { peers, facts }: { peers: { get(id: NodeId): ApprovedPeer | undefined }; facts: () => Promise<WakeFacts> },
): Promise<Response> {
  const peer = peers.get(nodeId);
  if (peer?.own !== true || peer.paused) throw new ArkError("bad_request", "This node has no such request");
  return Response.json(await facts());
}
