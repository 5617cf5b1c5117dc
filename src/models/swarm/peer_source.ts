import { type Bitfield, chunkCount, chunkLength, decodeHave, MOST_BLOB_BYTES } from "@ark/node/protocol";
import type { PieceRequest, PieceSource } from "./piece_source.ts";
import { askPeer, blobPath, checkAsked, refusalOf, type SwarmPeer, type SwarmPeers } from "./swarm_peers.ts";

/** How long a peer may take to say which chunks it has, or to begin with one, in milliseconds. */
const ANSWER_MS = 10_000;
/** Longest list of chunks. */
const MOST_HAVE_BYTES = 4 + Math.ceil(chunkCount(MOST_BLOB_BYTES) / 8);

/** An approved peer as a source of one file. */
export class PeerSource implements PieceSource {
  readonly key: string;
  readonly name: string;
  readonly kind = "peer";
  readonly #peer: SwarmPeer;
  readonly #peers: SwarmPeers;
  readonly #sha256: string;
  readonly #size: number;

  /** Makes one; nothing is asked yet. */
  constructor(peers: SwarmPeers, { peer, sha256, size }: { peer: SwarmPeer; sha256: string; size: number }) {
    this.key = peer.id;
    this.name = peer.name;
    this.#peer = peer;
    this.#peers = peers;
    this.#sha256 = sha256;
    this.#size = size;
  }

  async have(signal: AbortSignal): Promise<Bitfield> {
    return decodeHave(await this.#have(signal), this.#size).have;
  }

  #have(signal: AbortSignal): Promise<Uint8Array> {
    return askPeer(this.#peers, {
      peer: this.#peer,
      path: blobPath(this.#sha256, "have"),
      what: "the list of what it has",
      most: MOST_HAVE_BYTES,
      deadlineMs: ANSWER_MS,
      signal,
    });
  }

  /** Whether it has at least a part of the file for this node. Never rejects. */
  async exists(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#have(signal);
      return true;
    } catch {
      return false;
    }
  }

  async fetch(index: number, { signal, into, arrived }: PieceRequest): Promise<Uint8Array> {
    const length = chunkLength(this.#size, index);
    checkAsked(this.#peers, this.#peer);
    const hangUp = new AbortController();
    const stop = () => hangUp.abort(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    try {
      const response = await this.#peers.request(this.#peer.id, {
        path: `${blobPath(this.#sha256, "data")}?chunk=${index}`,
        deadlineMs: ANSWER_MS,
        signal: hangUp.signal,
      });
      if (response.status !== 200) throw await refusalOf(response, this.#peer);
      // A piece of another length is not what it should be, whatever is in it. Nodes always state it.
      if (response.headers.get("content-length") !== String(length)) return NOTHING;
      return into.subarray(0, await read(response, { into: into.subarray(0, length), arrived }));
    } finally {
      signal.removeEventListener("abort", stop);
      // What was read to its end has given its connection back; anything else is hung up.
      hangUp.abort();
    }
  }
}

const NOTHING = new Uint8Array(0);

async function read(
  response: Awaited<ReturnType<SwarmPeers["request"]>>,
  { into, arrived }: { into: Uint8Array; arrived: PieceRequest["arrived"] },
): Promise<number> {
  if (response.readInto !== undefined) return await response.readInto(into, arrived);
  let at = 0;
  for await (const piece of response.body) {
    if (piece.length > into.length - at) return 0;
    into.set(piece, at);
    at += piece.length;
    arrived?.(at);
  }
  return at;
}
