/** A store that pulls from peers over real connections, without a whole node around it. */
import { generateIdentity, type NodeId } from "@ark/node/identity";
import { ModelCatalogue, ModelStore, OwnRecords } from "@ark/node/models";
import { MeshClient, type PeerAddress } from "@ark/node/transport";

/** A peer as the store knows it. */
export interface KnownPeer {
  id: NodeId;
  name: string;
  address: PeerAddress;
}

/** The store and what belongs to it. */
export class LightStore implements AsyncDisposable {
  readonly store: ModelStore;
  readonly catalogue: ModelCatalogue;
  /** Who was reported for wrong bytes. */
  readonly offenders: NodeId[] = [];
  /** Those that may be asked; may be changed at any time. */
  peers: KnownPeer[];
  readonly #client = new MeshClient({ identity: generateIdentity() });

  constructor(root: string, peers: KnownPeer[], options: Partial<ConstructorParameters<typeof ModelStore>[0]> = {}) {
    this.peers = peers;
    const records = new OwnRecords(root);
    this.catalogue = new ModelCatalogue({ directories: [root], own: records });
    const limits = { pauseMs: 1, reserveBytes: 0, ...options.limits };
    this.store = new ModelStore({ catalogue: this.catalogue, records, ...options, limits });
    this.store.join({
      list: () => this.peers,
      request: (id, call) => {
        const addresses = this.peers.filter((peer) => peer.id === id).map(({ address }) => address);
        return this.#client.request({ id, addresses }, { method: "GET", ...call });
      },
      offended: (id) => void this.offenders.push(id),
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#client[Symbol.asyncDispose]();
  }
}
