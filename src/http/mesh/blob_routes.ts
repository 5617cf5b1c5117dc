import type { NodeId } from "@ark/node/identity";
import type { ApprovedPeer, Gate } from "@ark/node/peers";
import {
  ArkError,
  type Bitfield,
  chunkCount,
  chunkLength,
  type ChunkList,
  encodeChunkList,
  encodeHave,
  type SignedManifest,
} from "@ark/node/protocol";
import { type Caller, fixedResponse, type MeshRequest } from "@ark/node/transport";
import type { Denials } from "./denials.ts";
import type { PullSessions } from "./pull_sessions.ts";
import type { UploadPace } from "./upload_pace.ts";
import type { UploadLease, UploadSlots } from "./upload_slots.ts";

/** A file of a model as it is here, whole or in part. */
export interface ServedBlob {
  /** Its SHA-256, hex. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
  /** The chunks that are here and checked. */
  readonly have: Bitfield;
  /** Grows with them. */
  readonly version: number;
  /** The hashes of all chunks. */
  chunks(): Promise<ChunkList>;
  /** One chunk, in `into` where that is given. Rejects where it is not here. */
  read(index: number, into?: Uint8Array): Promise<Uint8Array>;
}

/** What there is to serve. */
export interface ServedFiles {
  /** The file with a SHA-256, hex. */
  find(sha256: string): ServedBlob | undefined;
  /** Ids of the models that a file belongs to. */
  modelsOf(sha256: string): readonly string[];
  /** What makes a model. */
  manifest(modelId: string): Promise<SignedManifest | undefined>;
}

/** What {@linkcode blobRoutes} needs. */
export interface BlobRoutesOptions {
  /** Files of models, or null where this node has none. */
  files: ServedFiles | null;
  /** The id of the model that a text means, here. */
  modelOf(ref: string): string | undefined;
  /** Approved peers. */
  peers: { get(id: NodeId): ApprovedPeer | undefined };
  /** Knows what they may do. */
  gate: Pick<Gate, "permits">;
  /** Whether work is taken now; false while the node stops. */
  accepting(): boolean;
  /** Puts downloads on the record. */
  sessions: PullSessions;
  /** Says who is served. */
  slots: UploadSlots;
  /** Says when. */
  pace: UploadPace;
  /** Records who was turned away. */
  denials: Pick<Denials, "note">;
  /** Told of bytes that went to a peer. */
  sent(peer: NodeId, bytes: number): void;
}

/** Answers one of the requests for files; null where it is none of them. */
export type BlobRoutes = (request: MeshRequest, asked: { url: URL; caller: Caller }) => Promise<Response> | null;

const MANIFEST = "/ark/v1/models/manifest";
/** The only way in which anything of a request becomes a name of a file: 64 hexadecimal digits, and nothing else. */
const BLOB = /^\/ark\/v1\/blobs\/sha256-([0-9a-f]{64})\/(chunks|have|data)$/;
const CHUNK = /^\?chunk=(0|[1-9]\d{0,8})$/;
const BYTES = "application/octet-stream";
const MOST_NAME = 200;

/**
 * The files of models, for peers that may download them: `ark-blobs/1`.
 *
 * | request | answer |
 * |---|---|
 * | `GET /ark/v1/models/manifest?model=NAME:TAG` | a `SignedManifest` |
 * | `GET /ark/v1/blobs/sha256-<hex>/chunks` | the chunk list: `encodeChunkList` |
 * | `GET /ark/v1/blobs/sha256-<hex>/have` | which chunks are here: `encodeHave` |
 * | `GET /ark/v1/blobs/sha256-<hex>/data?chunk=N` | the bytes of a chunk; 429 with `Retry-After` where others are served now |
 *
 * What a peer may not download does not exist for it: the same bytes, `model_not_found`, for what is not shared, what is not
 * here and what is no name at all. Whether it may is looked up for each request and before each piece of a chunk.
 */
export function blobRoutes(options: BlobRoutesOptions): BlobRoutes {
  return (request, { url, caller }) => {
    const { pathname } = url;
    if (pathname !== MANIFEST && !pathname.startsWith("/ark/v1/blobs/")) return null;
    return answer(request, { url, caller, options });
  };
}

interface Asked {
  url: URL;
  caller: Caller;
  options: BlobRoutesOptions;
}

async function answer(request: MeshRequest, asked: Asked): Promise<Response> {
  const { url, caller, options } = asked;
  if (request.method !== "GET") throw new ArkError("bad_request", "Files are asked for with GET");
  if (!options.accepting()) throw new ArkError("unavailable", "This node is stopping");
  if (url.pathname === MANIFEST) return await manifest(asked);
  const [, sha256 = "", what = ""] = BLOB.exec(url.pathname) ?? [];
  const model = options.files?.modelsOf(sha256).find((id) => permitted(asked, id));
  // Nothing is looked for that the peer may not have: the work would tell that it is here.
  const blob = model === undefined ? undefined : options.files?.find(sha256);
  if (model === undefined || blob === undefined) throw notHere(asked);
  if (what === "data") return await data(request, { ...asked, blob, model });
  await options.sessions.begin({ peer: caller.nodeId, model, request: caller.signature });
  return what === "chunks" ? await chunkList(asked, blob) : wholeResponse(encodeHave(blob), asked, () => {});
}

/** Lists of chunks on their way, by peer: of a large file one has megabytes. */
const LISTS = new WeakMap<BlobRoutesOptions, Map<NodeId, number>>();
const MOST_LISTS = 2;

async function chunkList(asked: Asked, blob: ServedBlob): Promise<Response> {
  const { caller: { nodeId }, options } = asked;
  const lists = LISTS.get(options) ?? new Map<NodeId, number>();
  LISTS.set(options, lists);
  const running = lists.get(nodeId) ?? 0;
  if (running >= MOST_LISTS) {
    throw new ArkError("busy", "This node sends you lists of chunks already", { retryAfterSeconds: 1 });
  }
  lists.set(nodeId, running + 1);
  const over = () => {
    const left = (lists.get(nodeId) ?? 1) - 1;
    if (left > 0) lists.set(nodeId, left);
    else lists.delete(nodeId);
  };
  try {
    return wholeResponse(encodeChunkList(await blob.chunks()), asked, over);
  } catch (error) {
    over();
    throw error;
  }
}

/** Whether a peer may download a model now. */
function permitted({ caller, options: { peers, gate } }: Asked, model: string): boolean {
  const peer = peers.get(caller.nodeId);
  return peer !== undefined && gate.permits(peer, "pull", model);
}

/** What is not for a peer, and what is not here: nobody can tell the one from the other. */
function notHere({ caller, options }: Asked, model?: string): ArkError {
  options.denials.note({
    code: "model_not_found",
    remote: caller.remote,
    nodeId: caller.nodeId,
    ...(model === undefined ? {} : { model }),
  });
  return new ArkError("model_not_found", "This node has nothing of that name for you");
}

async function manifest(asked: Asked): Promise<Response> {
  const { url, caller, options } = asked;
  const ref = (url.searchParams.get("model") ?? "").slice(0, MOST_NAME);
  const model = options.modelOf(ref);
  const may = permitted(asked, model ?? ref);
  if (model === undefined || !may || options.files === null) throw notHere(asked, ref);
  const made = await options.files.manifest(model);
  // It may have been made for minutes: a large file is hashed first.
  if (made === undefined || !permitted(asked, model)) throw notHere(asked, ref);
  await options.sessions.begin({ peer: caller.nodeId, model, request: caller.signature });
  return Response.json(made);
}

function wholeResponse(bytes: Uint8Array, { caller, options }: Asked, over: () => void): Response {
  let given = false;
  return fixedResponse({
    length: bytes.length,
    next: async (signal) => {
      await options.pace.take(caller.nodeId, bytes.length, signal);
      return given ? null : (given = true, bytes);
    },
    over,
  }, { contentType: BYTES });
}

async function data(
  request: MeshRequest,
  asked: Asked & { blob: ServedBlob; model: string },
): Promise<Response> {
  const { url, caller, options, blob, model } = asked;
  const { sessions, slots } = options;
  const index = Number(CHUNK.exec(url.search)?.[1] ?? NaN);
  if (!(index < chunkCount(blob.size))) throw new ArkError("bad_request", "This file has no such chunk");
  const lacking = new ArkError("model_not_found", "That chunk is not here yet");
  if (!blob.have.get(index)) throw lacking;
  const lease = await slots.enter(caller.nodeId, request.signal);
  try {
    if (!permitted(asked, model)) throw notHere(asked);
    await sessions.begin({ peer: caller.nodeId, model, request: caller.signature });
    const bytes = await blob.read(index, lease.buffer.subarray(0, chunkLength(blob.size, index)));
    // The first piece takes some time to be sent: who may not have it must not get it.
    if (!permitted(asked, model)) throw notHere(asked);
    return chunkResponse(bytes, { ...asked, lease });
  } catch (error) {
    lease.release({ reuse: false });
    throw error;
  }
}

function chunkResponse(
  bytes: Uint8Array,
  asked: Asked & { blob: ServedBlob; model: string; lease: UploadLease },
): Response {
  const { caller, options, blob, model, lease } = asked;
  const { pace, sessions, sent } = options;
  const peer = caller.nodeId;
  const ended = sessions.chunk({ peer, model }, blob.sha256);
  let at = 0;
  return fixedResponse({
    length: bytes.length,
    next: async (signal) => {
      const piece = bytes.subarray(at, at + pace.pieceBytes);
      if (piece.length === 0) return null;
      await pace.take(peer, piece.length, signal);
      if (!permitted(asked, model)) {
        throw new ArkError("forbidden", "This node does not let you download that any more");
      }
      at += piece.length;
      sent(peer, piece.length);
      return piece;
    },
    over: (whole) => {
      lease.release({ reuse: whole });
      ended({ bytes: at, whole });
    },
  }, { contentType: BYTES });
}
