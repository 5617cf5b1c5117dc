import type { ApprovedPeer } from "@ark/node/peers";
import type { PeerAddress } from "@ark/node/transport";

/** A file that only its owner may open. */
export interface PrivateFile {
  /** Where it lies. */
  path: string;
  /** What it is, for a sentence. */
  what: string;
  /** Its permission bits, or null where there are none (Windows) or there is no such file. */
  mode: number | null;
}

/** What can be told without a running node. */
export interface StillFacts {
  /** Files and folders with secrets. */
  files: readonly PrivateFile[];
  /** What is wrong with the environment, in a sentence, or null. */
  environment: string | null;
  /** Room where the data lie, in bytes, or null where it cannot be told. */
  disk: { path: string; freeBytes: number } | null;
  /** Age of the admin token in milliseconds, or null. */
  tokenAgeMs: number | null;
}

/** Who can reach the node. */
export interface ListenerFacts {
  /** The owner's listener. */
  local: PeerAddress;
  /** Whether its address is the loopback's. */
  loopback: boolean;
  /** Whether its address is that of an encrypted tunnel. */
  tunnel: boolean;
  /** Whether it answers nobody without an API key. */
  keysRequired: boolean;
  /** API keys in force. */
  keys: number;
  /** Whether a reverse proxy has passed on a request that was answered without a key. */
  proxiedWithoutKey: boolean;
  /** Origins of web pages that are let in. */
  origins: readonly string[];
  /** The peers' listener. */
  mesh: PeerAddress;
  /** Whether the peers' listener is on the loopback. */
  meshLoopback: boolean;
}

/** What a running node knows of itself. */
export interface RunningFacts {
  /** Who can reach it. */
  listeners: ListenerFacts;
  /** Approved peers. */
  peers: readonly ApprovedPeer[];
  /** Approvals that have ended and still stand in the file. */
  expired: readonly ApprovedPeer[];
  /** What is wrong with the file of approved peers, in a sentence, or null. */
  peersFault: string | null;
  /** Why nothing can be recorded, in a sentence, or null. */
  auditFault: string | null;
  /** What is wrong with entries of the audit log, in a sentence; null where they are sound, undefined where not looked. */
  auditDamage: string | null | undefined;
  /** How far the clocks of peers are ahead of this machine's, where a peer said so, in milliseconds. */
  clocks: readonly { name: string; offsetMs: number }[];
}
