import type { PeerAddress } from "@ark/node/transport";

/** A hint that a node can be dialled at an address, or no longer. Whoever sends packets can make one up. */
export interface Sighting {
  /** How the address was learnt. */
  readonly source: "mdns" | "fixed" | "wireguard" | "registry";
  /** First 8 characters of the node id that the address is said to belong to, or null when nothing was said. */
  readonly shortId: string | null;
  /** Where to dial. */
  readonly address: PeerAddress;
  /** True when the node said goodbye, or has not been heard of for as long as its announcement was good for. */
  readonly gone: boolean;
  /** Key of the tunnel that leads there, `wg:` and base64, where one does. It grants nothing. */
  readonly tunnelKey?: string;
}

/**
 * Finds addresses of nodes.
 *
 * A sighting is repeated about every 30 s for as long as it lasts, so a consumer may drop one that comes at a bad time.
 * A consumer that is slow gets the latest state of each address, not every repetition.
 */
export interface Discovery {
  /** For messages: `mdns`, `fixed`, `wireguard`, `registry`, or names joined by `+`. */
  readonly name: string;
  /**
   * Looks for nodes until the signal fires, or the consumer stops reading; then it takes back what it announced, lets
   * go of its sockets and ends. It does not throw for reasons of the network. It can be called again afterwards.
   */
  discover(signal: AbortSignal): AsyncIterable<Sighting>;
}

/** Time after which a lasting sighting is repeated, in milliseconds. */
export const REPEAT_MS = 30_000;
