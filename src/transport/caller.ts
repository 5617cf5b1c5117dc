import type { NodeId } from "@ark/node/identity";

/** Who sent a request, proved by its signature. */
export interface Caller {
  /** The caller's id. */
  nodeId: NodeId;
  /** The caller's public key, 32 bytes. */
  publicKey: Uint8Array;
  /** SHA-256 of the request's signature, hex: what stands for the request in logs and receipts. */
  signature: string;
  /** IP address that the connection came from. */
  remote: string;
  /** How long the caller will wait for the answer, in milliseconds. */
  deadlineMs: number;
}
