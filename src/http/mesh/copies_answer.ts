import type { CopyKeeper } from "@ark/node/models";
import type { NodeId } from "@ark/node/identity";
import type { ApprovedPeer, Gate } from "@ark/node/peers";
import { ArkError } from "@ark/node/protocol";

/** What {@linkcode copiesAnswer} goes by. */
export interface CopiesAnswerOptions {
  /** Approved peers. */
  peers: { get(id: NodeId): ApprovedPeer | undefined };
  /** Knows what they may do. */
  gate: Pick<Gate, "permits">;
  /** Counts copies. */
  copies: Pick<CopyKeeper, "state">;
}

/**
 * What one of the owner's other nodes is told of copies: of models only those that it may download. To anybody else there is no such
 * request.
 *
 * @throws {ArkError} `bad_request`
 */
export async function copiesAnswer(
  { nodeId }: { nodeId: NodeId },
  { peers, gate, copies }: CopiesAnswerOptions,
): Promise<Response> {
  const peer = peers.get(nodeId);
  if (peer?.own !== true || peer.paused) throw new ArkError("bad_request", "This node has no such request");
  return Response.json(await copies.state((model) => gate.permits(peer, "pull", model)));
}
