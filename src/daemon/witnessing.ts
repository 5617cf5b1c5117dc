import { type AuditLog, WitnessBook, Witnesses } from "@ark/node/audit";
import type { Identity } from "@ark/node/identity";
import type { PeerBook } from "@ark/node/peers";
import { ANSWERING, type PeerTable } from "@ark/node/routing";
import type { Store } from "@ark/node/store";
import type { Events, Logger } from "@ark/node/telemetry";
import type { MeshClient } from "@ark/node/transport";

/** What {@linkcode openWitnessing} needs. */
export interface WitnessingOptions {
  /** Remembers what was witnessed. */
  store: Store;
  /** This node. */
  identity: Identity;
  /** Its log. */
  audit: AuditLog;
  /** Approved peers. */
  book: PeerBook;
  /** Which of them are online. */
  table: PeerTable;
  /** Asks them. */
  client: MeshClient;
  /** Says what contradicts. */
  logger: Logger;
  /** Told of it. */
  events: Events;
}

/** This node as a witness of its approved peers' audit logs, and they as witnesses of its own. */
export async function openWitnessing(
  { store, identity, audit, book, table, client, logger, events }: WitnessingOptions,
): Promise<{ witness: WitnessBook; witnesses: Witnesses }> {
  const approvedAt = (id: string) => book.get(id)?.approved_at;
  const witness = await WitnessBook.open({ store, identity, audit, approvedAt, logger, events });
  const online = () => table.list().filter(({ state }) => ANSWERING.has(state));
  const witnesses = new Witnesses({
    self: identity.id,
    audit,
    peers: () => online().map(({ peer: { node_id: id } }) => ({ id, addresses: table.addresses(id) })),
    client,
    logger,
    events,
  });
  return { witness, witnesses };
}
