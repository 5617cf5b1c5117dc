import { ArkError } from "@ark/node/protocol";
import type { NodeId } from "@ark/node/identity";
import { boundedBytes, type MeshCall, type MeshResponse } from "@ark/node/transport";

/** An approved peer that may be asked. */
export interface SwarmPeer {
  /** Its id. */
  readonly id: NodeId;
  /** As the owner calls it. */
  readonly name: string;
}

/** The approved peers, as far as pulls need them. */
export interface SwarmPeers {
  /** Those that may be asked now: approved, and not paused. */
  list(): readonly SwarmPeer[];
  /** Asks one of them. */
  request(id: NodeId, call: Pick<MeshCall, "path" | "deadlineMs" | "signal">): Promise<MeshResponse>;
  /** Notes that one sent pieces of a file that are not what they should be. */
  offended(id: NodeId): void;
}

/** What a peer is asked, and how much of an answer is taken. */
export interface PeerQuestion {
  /** Path with its query. */
  path: string;
  /** What it is, in an error's sentence. */
  what: string;
  /** Most bytes. */
  most: number;
  /** For how long, in milliseconds. */
  deadlineMs: number;
  /** Ends it. */
  signal: AbortSignal;
}

/** Path of the routes of a blob; made of 64 hexadecimal digits and nothing else. */
export function blobPath(sha256: string, what: "chunks" | "have" | "data"): string {
  return `/ark/v1/blobs/sha256-${sha256}/${what}`;
}

/**
 * Asks a peer, and reads its answer as a whole.
 *
 * @throws {ArkError} what the peer refuses with, or `unavailable`.
 */
export async function askPeer(
  peers: SwarmPeers,
  { peer, path, what, most, deadlineMs, signal }: PeerQuestion & { peer: SwarmPeer },
): Promise<Uint8Array<ArrayBuffer>> {
  const hangUp = new AbortController();
  const either = AbortSignal.any([signal, hangUp.signal, AbortSignal.timeout(deadlineMs)]);
  try {
    checkAsked(peers, peer);
    const response = await peers.request(peer.id, { path, deadlineMs, signal: either });
    if (response.status !== 200) throw await refusalOf(response, peer);
    return await wholeBody(response, most);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ArkError && error.code !== "cancelled") throw error;
    throw new ArkError("unavailable", `${peer.name} did not give ${what} in time`, { cause: error });
  } finally {
    // A body that was not read to its end holds a connection.
    hangUp.abort();
  }
}

/** Whoever is not approved any more, or was paused, is asked nothing: also in the middle of a file. */
export function checkAsked(peers: SwarmPeers, peer: SwarmPeer): void {
  if (peers.list().some(({ id }) => id === peer.id)) return;
  throw new ArkError("forbidden", "You revoked or paused it");
}

const REFUSAL_BYTES = 4 << 10;

/** What a peer refused with. Its own words are not repeated: only the code counts. */
export async function refusalOf(response: MeshResponse, peer: SwarmPeer): Promise<ArkError> {
  await wholeBody(response, REFUSAL_BYTES).catch(() => {});
  const { status, headers } = response;
  if (status === 404 || status === 410) {
    return new ArkError("model_not_found", `${peer.name} has it not, or does not share it with this node`);
  }
  if (status === 401 || status === 403) return new ArkError("forbidden", `${peer.name} does not let this node pull it`);
  if (status === 429 || status === 503) {
    const seconds = Number(/^\d{1,4}$/.exec(headers.get("retry-after") ?? "")?.[0] ?? 1);
    return new ArkError("busy", `${peer.name} is sending as much as it may`, { retryAfterSeconds: seconds });
  }
  return new ArkError("unavailable", `${peer.name} cannot give it now (${status})`);
}

function wholeBody({ body }: MeshResponse, most: number): Promise<Uint8Array<ArrayBuffer>> {
  return boundedBytes(body, {
    most,
    tooLong: () => new ArkError("unavailable", "The peer's answer is longer than it may be"),
  });
}
