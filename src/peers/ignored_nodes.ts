import type { NodeId } from "@ark/node/identity";
import type { Store } from "@ark/node/store";

/**
 * Why the owner hears nothing of a node.
 *
 * | why | until |
 * |---|---|
 * | `ignored` | the owner takes it back |
 * | `dismissed` | 24 hours later |
 * | `different` | 24 hours after the owner said that the words of a pairing differ |
 */
export type IgnoredWhy = "ignored" | "dismissed" | "different";

/** A node that the owner hears nothing of. */
export interface IgnoredNode {
  /** Its id. */
  id: NodeId;
  /** Why. */
  why: IgnoredWhy;
  /** Since when, RFC 3339. */
  since: string;
  /** Until when, RFC 3339; null for until the owner takes it back. */
  until: string | null;
}

const A_DAY_MS = 24 * 3_600_000;
/** More than an owner sets aside by hand. */
const MOST = 1_000;

/**
 * Nodes that make no card, no event and no line in the log. Durable: what was ignored stays so after a restart, and each is
 * listed and can be taken back.
 */
export class IgnoredNodes {
  readonly #store: Store;
  readonly #nodes: Map<NodeId, IgnoredNode>;

  private constructor(store: Store, nodes: IgnoredNode[]) {
    this.#store = store;
    this.#nodes = new Map(nodes.map((node) => [node.id, node]));
  }

  /** Reads who is ignored. */
  static async open(store: Store): Promise<IgnoredNodes> {
    const rows = await store.selectFrom("ignored_nodes").selectAll().orderBy("since").execute();
    return new IgnoredNodes(
      store,
      rows.map(({ node_id: id, why, since, until }) => ({ id, why: why as IgnoredWhy, since, until })),
    );
  }

  /** How a node is ignored, or undefined when it is not. */
  get(id: NodeId): IgnoredNode | undefined {
    const node = this.#nodes.get(id);
    return node === undefined || isOver(node) ? undefined : node;
  }

  /** All of them, the latest first. */
  list(): IgnoredNode[] {
    return [...this.#nodes.values()].filter((node) => !isOver(node)).reverse();
  }

  /** Ignores a node. It counts at once, also where it cannot be written; then it rejects. */
  async add(id: NodeId, why: IgnoredWhy): Promise<IgnoredNode> {
    const now = Date.now();
    const until = why === "ignored" ? null : new Date(now + A_DAY_MS).toISOString();
    const node: IgnoredNode = { id, why, since: new Date(now).toISOString(), until };
    this.#nodes.delete(id);
    this.#nodes.set(id, node);
    const dropped = [...this.#nodes.values()].filter(isOver).map((old) => old.id);
    const oldest = this.#nodes.keys().next().value;
    if (this.#nodes.size - dropped.length > MOST && oldest !== undefined) dropped.push(oldest);
    for (const old of dropped) this.#nodes.delete(old);
    const row = { node_id: id, why, since: node.since, until };
    await this.#store.transaction().execute(async (write) => {
      if (dropped.length > 0) await write.deleteFrom("ignored_nodes").where("node_id", "in", dropped).execute();
      await write.insertInto("ignored_nodes").values(row)
        .onConflict((conflict) => conflict.column("node_id").doUpdateSet(row)).execute();
    });
    return node;
  }

  /** Takes it back. Undefined when the node was not ignored. */
  async remove(id: NodeId): Promise<IgnoredNode | undefined> {
    const node = this.get(id);
    this.#nodes.delete(id);
    await this.#store.deleteFrom("ignored_nodes").where("node_id", "=", id).execute();
    return node;
  }
}

function isOver({ until }: IgnoredNode): boolean {
  return until !== null && Date.parse(until) <= Date.now();
}
