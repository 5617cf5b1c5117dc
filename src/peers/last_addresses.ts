import { isIP } from "node:net";
import { type NodeId, parseNodeId } from "@ark/node/identity";
import { reasonOf } from "@ark/node/protocol";
import type { Store } from "@ark/node/store";
import type { Logger } from "@ark/node/telemetry";
import type { PeerAddress } from "@ark/node/transport";

/** What {@linkcode LastAddresses.open} needs. */
export interface LastAddressesOptions {
  /** Remembers addresses in its table `last_addresses`. */
  store: Store;
  /** Whether a node is approved: only addresses of approved ones are kept. */
  approved(id: NodeId): boolean;
  /** Says when addresses cannot be written. */
  logger: Pick<Logger, "debug">;
  /** Most addresses of one node. @default {4} */
  most?: number;
}

/**
 * Where approved peers answered as themselves, or their owners said that they are, remembered across restarts. Whoever controls what this node discovers can
 * hide a peer behind addresses of his own making, but not the addresses where it was found before (trust.md T46).
 */
export class LastAddresses {
  readonly #options: Required<LastAddressesOptions>;
  /** Of each node, the latest first. */
  readonly #known = new Map<NodeId, readonly PeerAddress[]>();
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(options: LastAddressesOptions) {
    this.#options = { most: 4, ...options };
  }

  /** Reads what is remembered, and forgets what concerns peers that are approved no more. */
  static async open(options: LastAddressesOptions): Promise<LastAddresses> {
    const last = new LastAddresses(options);
    const rows = await options.store.selectFrom("last_addresses").select(["node_id", "addresses"]).execute();
    for (const { node_id, addresses } of rows) {
      const id = idIn(node_id);
      const known = addressesIn(addresses).slice(0, last.#options.most);
      if (id !== null && options.approved(id) && known.length > 0) last.#known.set(id, known);
      else await options.store.deleteFrom("last_addresses").where("node_id", "=", node_id).execute();
    }
    return last;
  }

  /** Where a node answered, the latest first; empty when it never did. */
  of(id: NodeId): readonly PeerAddress[] {
    return this.#known.get(id) ?? [];
  }

  /**
   * Notes that a node proved its key and signed an answer at an address. Written in the background and only when it is
   * news: an address that is lost in a crash is found again.
   */
  note(id: NodeId, { hostname, port }: PeerAddress): void {
    // What a name led to is known by its address; the name itself only the owner can give.
    if (isIP(hostname) !== 0) this.#put(id, { hostname, port });
  }

  /** Notes where the owner paired with a node or was invited to one, a name included. */
  told(id: NodeId, addresses: readonly PeerAddress[]): void {
    for (const { hostname, port } of addresses) this.#put(id, { hostname, port });
  }

  /** A node goes on under another key, where it was. */
  inherit(from: NodeId, to: NodeId): void {
    this.told(to, this.of(from).toReversed());
  }

  #put(id: NodeId, address: PeerAddress): void {
    const { approved, most } = this.#options;
    const before = this.of(id);
    const isIt = ({ hostname, port }: PeerAddress) => hostname === address.hostname && port === address.port;
    if (before[0] !== undefined && isIt(before[0]) || !approved(id)) return;
    this.#known.set(id, [address, ...before.filter((one) => !isIt(one))].slice(0, most));
    for (const known of this.#known.keys()) if (!approved(known) && known !== id) this.#known.delete(known);
    this.#writing = this.#writing.then(() => this.#write(id)).catch((error) => {
      this.#options.logger.debug("The address of a peer could not be remembered", {
        peer: id,
        reason: reasonOf(error),
      });
    });
  }

  /** Waits until everything that was noted is written. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
  }

  async #write(id: NodeId): Promise<void> {
    const addresses = JSON.stringify(this.of(id).map(({ hostname, port }) => [hostname, port]));
    await this.#options.store.replaceInto("last_addresses").values({ node_id: id, addresses }).execute();
  }
}

const NAME = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){0,16}\.?$/i;

function idIn(text: string): NodeId | null {
  try {
    return parseNodeId(text);
  } catch {
    return null;
  }
}

/** What a row holds, as far as it is in order. */
function addressesIn(text: string): PeerAddress[] {
  let pairs: unknown;
  try {
    pairs = JSON.parse(text);
  } catch {
    return [];
  }
  if (!Array.isArray(pairs)) return [];
  return pairs.flatMap((pair: unknown) => {
    const [hostname, port] = Array.isArray(pair) ? pair : [];
    const fits = typeof hostname === "string" && (isIP(hostname) !== 0 || NAME.test(hostname)) &&
      Number.isInteger(port) && port > 0 && port < 65_536;
    return fits ? [{ hostname, port }] : [];
  });
}
