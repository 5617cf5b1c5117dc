import type { AuditLog, WitnessBook, Witnesses } from "@ark/node/audit";
import type { Config } from "@ark/node/config";
import type { NodeId } from "@ark/node/identity";
import {
  ContentGate,
  Gate,
  IgnoredNodes,
  Invitations,
  LastAddresses,
  Neighbourhood,
  type Pairings,
  PeerBook,
  type Rotations,
  Usage,
} from "@ark/node/peers";
import { KeptReputation, PeerTable, RotationAnnouncer } from "@ark/node/routing";
import type { Store } from "@ark/node/store";
import type { Events, Logger } from "@ark/node/telemetry";
import { formatAddress, MeshClient, type MeshListener, type PeerAddress, presentedKey } from "@ark/node/transport";
import { discoveryOf } from "./discovery_of.ts";
import { type OwnIdentity, rotationsOf } from "./own_identity.ts";
import { pairingsOf } from "./pairings_of.ts";
import type { Service } from "./service.ts";
import { attempt } from "./start_error.ts";
import { openWitnessing } from "./witnessing.ts";

/** What {@linkcode openNeighbours} stands on. */
export interface Ground extends OwnIdentity {
  /** What the owner set. */
  config: Config;
  /** The node's database. */
  store: Store;
  /** Its audit log. */
  audit: AuditLog;
  /** Told of what happens. */
  events: Events;
  /** The node's log. */
  logger: Logger;
}

/** Everything that a node knows of others. */
export interface Neighbours extends AsyncDisposable {
  /** Approved peers. */
  readonly book: PeerBook;
  /** Lends slots to them. */
  readonly gate: Gate;
  /** Lends them places to read content packs. */
  readonly contentGate: ContentGate;
  /** Whom the owner wants to hear nothing of. */
  readonly ignored: IgnoredNodes;
  /** Nodes that were seen. */
  readonly neighbourhood: Neighbourhood;
  /** Where approved peers were. */
  readonly lastAddresses: LastAddresses;
  /** Talks to other nodes. */
  readonly client: MeshClient;
  /** What approved peers offer. */
  readonly table: PeerTable;
  /** Pairings by words. */
  readonly pairings: Pairings;
  /** Invitations of this node. */
  readonly invitations: Invitations;
  /** Peers that go on under another key. */
  readonly rotations: Rotations;
  /** This node as a witness of others' logs. */
  readonly witness: WitnessBook;
  /** How far peers can be relied on. */
  readonly reputation: KeptReputation;
  /** Others as witnesses of this node's log. */
  readonly witnesses: Witnesses;
  /**
   * Tells through which listener peers come: it is what a revocation cuts, and its port is told to others. `changed` is
   * called when what peers may do here has changed.
   */
  listening(mesh: MeshListener, options: { changed: () => void }): void;
  /** What works in the background, once it is known where peers come in. */
  services(): Service[];
}

/**
 * Opens what a node knows of others.
 *
 * @throws {StartError} with one sentence for the owner; what was opened is closed again.
 */
export async function openNeighbours(ground: Ground): Promise<Neighbours> {
  const { config, identity, chain, store, audit, events, logger } = ground;
  await using opened = new AsyncDisposableStack();
  const client = opened.use(new MeshClient({ identity }));
  let mesh: MeshListener | null = null;
  let tellPeers = () => {};
  const ownPort = () => mesh?.port ?? 0;
  const book = await attempt("read the approved peers", () =>
    PeerBook.open({
      path: config.paths.peers,
      store,
      logger,
      removed: (ids) => {
        for (const id of ids) {
          mesh?.disconnect(id);
          client.disconnect(id);
        }
      },
      changed: () => {
        table.refresh();
        tellPeers();
      },
    }));
  const approved = (id: NodeId) => book.get(id) !== undefined;
  const ignored = await attempt("read which nodes are ignored", () => IgnoredNodes.open(store));
  const neighbourhood = new Neighbourhood({
    self: identity.id,
    probe: (address, { signal }) => presentedKey(address, { signal }),
    approved,
    ignored: (id) => ignored.get(id) !== undefined,
    logger,
    found: (id) => {
      events.emit({ type: "peer", change: "seen", peer: id });
      if (approved(id)) table.refresh();
    },
  });
  const lastAddresses = opened.use(
    await attempt("read where peers were", () => LastAddresses.open({ store, logger, approved })),
  );
  const addresses = (id: NodeId) => eachOnce([...lastAddresses.of(id), ...neighbourhood.addresses(id)]);
  const table = new PeerTable({
    approved: () => book.list(),
    addresses,
    reached: (id, address) => lastAddresses.note(id, address),
    client,
    ownPort,
    logger,
  });
  const reputation = opened.use(
    await attempt("read how far peers can be relied on", () =>
      KeptReputation.open({
        store,
        approved: (id) => approved(id),
        peers: () =>
          table.list().filter(({ state }) => state !== "paused").map(({ peer, state }) => ({
            id: peer.node_id,
            there: state === "ready" || state === "draining" || state === "yielding",
          })),
        logger,
      })),
  );
  const missing = () =>
    table.list().filter(({ state }) => state === "unseen" || state === "unreachable").map(({ peer }) => peer.node_id);
  const announcer = new RotationAnnouncer({ self: identity.id, chain, table, client, ownPort, logger });
  const { name } = config;
  const pairings = opened.use(
    pairingsOf({ identity, name, client, neighbourhood, ignored, audit, events, logger, ownPort, addresses }),
  );
  const usage = opened.use(await attempt("read what peers have used up", () => Usage.open({ store, logger })));
  const rotations = await rotationsOf({ ...ground, book, usage, lastAddresses });
  const { witness, witnesses } = await attempt(
    "read what this node witnessed",
    () => openWitnessing({ store, identity, audit, book, table, client, logger, events }),
  );
  const resources = opened.move();
  return {
    book,
    gate: new Gate(book, usage),
    contentGate: new ContentGate(book, usage),
    ignored,
    neighbourhood,
    lastAddresses,
    client,
    table,
    pairings,
    invitations: new Invitations(store),
    rotations,
    reputation,
    witness,
    witnesses,
    listening(listener, { changed }) {
      mesh = listener;
      tellPeers = changed;
    },
    services: () => [
      { name: "peers", run: (signal) => book.run(signal) },
      { name: "usage", run: (signal) => usage.run(signal) },
      { name: "pairings", run: (signal) => pairings.run(signal) },
      { name: "offers", run: (signal) => table.run(signal) },
      { name: "rotation", run: (signal) => announcer.run(signal) },
      { name: "reputation", run: (signal) => reputation.run(signal) },
      { name: "witnesses", run: (signal) => witnesses.run(signal) },
      {
        name: "discovery",
        run: (signal) => neighbourhood.run(discoveryOf(config, { identity, logger, port: ownPort(), missing }), signal),
      },
    ],
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

function eachOnce(addresses: readonly PeerAddress[]): PeerAddress[] {
  return [...new Map(addresses.map((address) => [formatAddress(address), address])).values()];
}
