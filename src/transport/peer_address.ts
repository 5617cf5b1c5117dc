/** Where a node may be dialled: a hint, never a proof of who is there. */
export interface PeerAddress {
  /** IPv4 or IPv6 address without brackets, or a name that resolves to one. */
  hostname: string;
  /** TCP port of the node's mesh listener. */
  port: number;
}

/** Writes an address as `host:port`, IPv6 in brackets. */
export function formatAddress({ hostname, port }: PeerAddress): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}
