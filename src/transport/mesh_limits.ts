import { LIMITS } from "@ark/node/protocol";

/** Limits of a mesh listener. Times in milliseconds, sizes in bytes. Defaults from `design/trust.md` section 5. */
export interface MeshLimits {
  /** TLS handshake. @default {3000} */
  handshakeMs: number;
  /** Request line and header fields, from the first byte or from the end of the handshake. @default {4000} */
  headersMs: number;
  /** A whole request with its body. @default {15000} */
  requestMs: number;
  /** How long an idle connection is kept. @default {60000} */
  keepAliveMs: number;
  /** How often the times above are looked at. @default {1000} */
  checkMs: number;
  /** Header fields of one request. @default {8192} */
  headerBytes: number;
  /** Body of one request. @default {1048576} */
  bodyBytes: number;
  /** How long the caller may take none of an answer before it is cut off. @default {20000} */
  writeStallMs: number;
  /** How long a refused caller gets to read the refusal. @default {1000} */
  lingerMs: number;
  /** Connections in all. @default {1536} */
  connections: number;
  /** Connections in all on which no approved peer has proved itself yet. @default {192} */
  strangers: number;
  /** Connections of one source (IPv4 address or IPv6 /56). @default {640} */
  connectionsPerSource: number;
  /** Connections of one source on which no approved peer has proved itself yet. @default {8} */
  strangersPerSource: number;
  /** New connections of one source at once; one on which an approved peer proves itself does not count. @default {16} */
  burstPerSource: number;
  /** New connections of one source per second after that. @default {0.2} */
  newPerSourceAndSecond: number;
  /** Live nonces of one peer. @default {10000} */
  noncesPerPeer: number;
  /** Shortest time between two calls of `knock` for one key. @default {5000} */
  knockMs: number;
  /** Body of one introduction. @default {8192} */
  introductionBytes: number;
  /** Live nonces of one key in introductions. @default {512} */
  introductionsPerKey: number;
  /** Keys whose introductions are remembered. @default {256} */
  introducedKeys: number;
}

/** The limits of a node on a real network. */
export const MESH_LIMITS: Readonly<MeshLimits> = {
  handshakeMs: 3_000,
  headersMs: 4_000,
  requestMs: 15_000,
  keepAliveMs: 60_000,
  checkMs: 1_000,
  headerBytes: 8 << 10,
  bodyBytes: LIMITS.requestBodyBytes,
  writeStallMs: 20_000,
  lingerMs: 1_000,
  connections: 1_536,
  strangers: 192,
  connectionsPerSource: 640,
  strangersPerSource: 8,
  burstPerSource: 16,
  newPerSourceAndSecond: 0.2,
  noncesPerPeer: 10_000,
  knockMs: 5_000,
  introductionBytes: 8 << 10,
  introductionsPerKey: 512,
  introducedKeys: 256,
};
