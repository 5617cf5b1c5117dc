import type { AuditLog } from "@ark/node/audit";
import type { ApprovedPeer, IgnoredNodes, LastAddresses, Neighbourhood, PeerBook } from "@ark/node/peers";
import { describePermissions } from "@ark/node/peers";
import type { Events } from "@ark/node/telemetry";
import type { PeerAddress } from "@ark/node/transport";

/** What {@linkcode admitPeer} needs. */
export interface AdmitOptions {
  /** Approved peers. */
  book: Pick<PeerBook, "approve">;
  /** Nodes that were seen. */
  neighbourhood: Pick<Neighbourhood, "paired">;
  /** Where paired nodes are. */
  lastAddresses: Pick<LastAddresses, "told">;
  /** Whom the owner wants to hear nothing of. */
  ignored: Pick<IgnoredNodes, "get" | "remove">;
  /** Records approvals. */
  audit: Pick<AuditLog, "append">;
  /** Told of them. */
  events: Pick<Events, "emit">;
}

/** A peer that was let in. */
export interface Admitted {
  /** The entry of `approved_peers.json`. */
  approved: ApprovedPeer;
  /** What it may do, in plain sentences. */
  summary: string;
  /** Whether the audit log has it. */
  recorded: boolean;
}

/**
 * Lets a peer in that was paired or invited, and remembers where it is.
 *
 * @throws {ArkError} as {@linkcode PeerBook.approve}; nothing has changed then.
 */
export async function admitPeer(
  approval: unknown,
  { addresses, options }: { addresses: readonly PeerAddress[]; options: AdmitOptions },
): Promise<Admitted> {
  const { book, neighbourhood, lastAddresses, ignored, audit, events } = options;
  const approved = await book.approve(approval);
  const id = approved.node_id;
  for (const address of addresses) neighbourhood.paired(id, address);
  lastAddresses.told(id, addresses);
  // The approval stands, whatever else cannot be written.
  if (ignored.get(id) !== undefined) await ignored.remove(id).catch(() => {});
  const recorded = await audit.append({ kind: "approve", direction: null, peer: id }).then(() => true, () => false);
  events.emit({ type: "peer", change: "approved", peer: id });
  const summary = describePermissions(approved.name, approved.permissions, approved.expires_at ?? null);
  return { approved, summary, recorded };
}
