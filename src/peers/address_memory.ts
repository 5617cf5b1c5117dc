import type { NodeId } from "@ark/node/identity";
import type { Store } from "@ark/node/store";
import { formatAddress, type PeerAddress } from "@ark/node/transport";

const MOST_PER_NODE = 8;

/** Remembers in the database where nodes are that the owner paired with, so that a restart does not lose them. */
export class AddressMemory {
  readonly #store: Store;

  /** Uses a database. */
  constructor(store: Store) {
    this.#store = store;
  }

  /** Notes where a node is; of each, the latest eight addresses are kept. */
  async note(id: NodeId, addresses: readonly PeerAddress[]): Promise<void> {
    if (addresses.length === 0) return;
    const noted_ms = Date.now();
    await this.#store.transaction().execute(async (write) => {
      for (const address of addresses) {
        const row = { node_id: id, address: formatAddress(address), noted_ms };
        await write.insertInto("peer_addresses").values(row)
          .onConflict((conflict) => conflict.columns(["node_id", "address"]).doUpdateSet(row)).execute();
      }
      const kept = await write.selectFrom("peer_addresses").select("address").where("node_id", "=", id)
        .orderBy("noted_ms", "desc").limit(MOST_PER_NODE).execute();
      await write.deleteFrom("peer_addresses").where("node_id", "=", id)
        .where("address", "not in", kept.map(({ address }) => address)).execute();
    });
  }

  /** A node goes on under another key, where it was. */
  async inherit(from: NodeId, to: NodeId): Promise<void> {
    const addresses = (await this.all()).filter(({ id }) => id === from).map(({ address }) => address);
    await this.note(to, addresses);
    await this.#store.deleteFrom("peer_addresses").where("node_id", "=", from).execute();
  }

  /** Everything that is remembered, oldest first. */
  async all(): Promise<{ id: NodeId; address: PeerAddress }[]> {
    const rows = await this.#store.selectFrom("peer_addresses").selectAll().orderBy("noted_ms").execute();
    return rows.map(({ node_id, address }) => {
      const colon = address.lastIndexOf(":");
      const hostname = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
      return { id: node_id, address: { hostname, port: Number(address.slice(colon + 1)) } };
    });
  }
}
