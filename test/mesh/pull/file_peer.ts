/** A peer that has one model and nothing else, and serves it as honestly, as fast and as long as a test wants. */
import { createHash } from "node:crypto";
import { formatPublicKey, generateIdentity, type Identity } from "@ark/node/identity";
import {
  Bitfield,
  CHUNK_BYTES,
  chunkCount,
  chunkLength,
  type ChunkList,
  chunkRoot,
  encodeChunkList,
  encodeHave,
  signManifest,
} from "@ark/node/protocol";
import { fixedResponse, formatAddress, listenMesh, type MeshListener, type MeshRequest } from "@ark/node/transport";
import { ggufBytes } from "../../models/gguf_bytes.ts";

/** What is asked of a peer. */
export interface FileRequest {
  what: "manifest" | "chunks" | "have" | "data";
  /** Which chunk; -1 where none is named. */
  chunk: number;
}

/** What a peer answers in place of the truth: other bytes, a status, a whole answer; undefined for the truth. */
export type Mischief = (request: FileRequest) => Uint8Array<ArrayBuffer> | number | Response | undefined;

/** Options of {@linkcode FilePeer.start}. */
export interface FilePeerOptions {
  name: string;
  /** `name:tag` */
  model?: string;
  /** The file. */
  bytes: Uint8Array<ArrayBuffer>;
  /** Bytes a second to all who ask together. */
  rate?: number;
  mischief?: Mischief;
  /** Where it listens; the default is a free port. */
  port?: number;
  identity?: Identity;
}

/** A GGUF file of about so many bytes, of which no two chunks are alike; the same for the same seed. */
export function modelFile(bytes: number, seed = 1): Uint8Array<ArrayBuffer> {
  const header = ggufBytes({ data: 0 });
  const file = new Uint8Array(header.length + bytes);
  file.set(header);
  // xorshift32: fast, and the same everywhere.
  const words = new Uint32Array(Math.ceil(bytes / 4));
  let state = 0x9e3779b9 ^ seed;
  for (let at = 0; at < words.length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state;
  }
  file.set(new Uint8Array(words.buffer, 0, bytes), header.length);
  return file;
}

/** The hashes of a file's chunks. */
export function chunkListOf(bytes: Uint8Array): ChunkList {
  const count = chunkCount(bytes.length);
  const hashes = new Uint8Array(count * 32);
  for (let index = 0; index < count; index++) {
    const chunk = bytes.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES);
    hashes.set(createHash("sha256").update(chunk).digest(), index * 32);
  }
  return { size: bytes.length, hashes };
}

export class FilePeer implements AsyncDisposable {
  readonly name: string;
  readonly identity: Identity;
  readonly sha256: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly model: string;
  /** Numbers of the chunks that were asked for, in order. */
  readonly asked: number[] = [];
  /** Bytes of chunks that were sent. */
  sent = 0;
  /** Bytes a second; may be changed at any time. */
  rate: number;
  mischief: Mischief;
  /** The chunks that it has. */
  have: Bitfield;
  readonly #list: ChunkList;
  #listener: MeshListener | null = null;
  #freeAt = 0;

  private constructor({ name, model = "tiny:1k", bytes, rate = Infinity, mischief, identity }: FilePeerOptions) {
    this.name = name;
    this.model = model;
    this.bytes = bytes;
    this.rate = rate;
    this.mischief = mischief ?? (() => undefined);
    this.identity = identity ?? generateIdentity();
    this.sha256 = createHash("sha256").update(bytes).digest("hex");
    this.#list = chunkListOf(bytes);
    this.have = Bitfield.full(chunkCount(bytes.length));
  }

  /** Listens on the loopback. */
  static async start(options: FilePeerOptions): Promise<FilePeer> {
    const peer = new FilePeer(options);
    peer.#listener = await listenMesh({
      identity: peer.identity,
      hostname: "127.0.0.1",
      port: options.port ?? 0,
      standing: () => "approved",
      handler: (request) => Promise.resolve(peer.#answer(request)),
    });
    return peer;
  }

  get publicKey(): string {
    return formatPublicKey(this.identity.publicKey);
  }

  /** Where it listens. */
  get mesh(): string {
    return formatAddress(this.address);
  }

  get address(): { hostname: string; port: number } {
    const { hostname, port } = this.#listener ?? { hostname: "127.0.0.1", port: 0 };
    return { hostname, port };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener?.[Symbol.asyncDispose]();
  }

  #answer(request: MeshRequest): Response {
    const asked = requestOf(request.url, this.sha256);
    if (asked === null) return Response.json({ error: { code: "ark_model_not_found" } }, { status: 404 });
    if (asked.what === "data") this.asked.push(asked.chunk);
    const lie = this.mischief(asked);
    if (lie instanceof Response) return lie;
    if (typeof lie === "number") return Response.json({}, { status: lie, headers: { "retry-after": "1" } });
    if (asked.what === "manifest") {
      if (lie !== undefined) return new Response(lie, { headers: { "content-type": "application/json" } });
      return Response.json(signManifest(this.identity, this.manifest()));
    }
    if (asked.what === "data" && lie === undefined && !this.have.get(asked.chunk)) {
      return Response.json({}, { status: 404 });
    }
    return this.#send(lie ?? this.#truth(asked), asked);
  }

  /** What makes the model. */
  manifest(): Parameters<typeof signManifest>[1] {
    const { sha256, bytes } = this;
    return {
      version: 1,
      model: this.model,
      files: [{ name: "tiny.gguf", sha256, size: bytes.length, root: chunkRoot(this.#list) }],
      template: null,
      system: null,
      parameters: {},
      license: null,
      made_at: "2026-01-01T00:00:00.000Z",
    };
  }

  /** A chunk as it is. */
  chunk(index: number): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(index * CHUNK_BYTES, index * CHUNK_BYTES + chunkLength(this.bytes.length, index));
  }

  #truth({ what, chunk }: FileRequest): Uint8Array<ArrayBuffer> {
    if (what === "chunks") return encodeChunkList(this.#list);
    if (what === "have") return encodeHave({ version: this.have.count, have: this.have });
    const from = chunk * CHUNK_BYTES;
    return this.bytes.subarray(from, from + chunkLength(this.bytes.length, chunk));
  }

  #send(bytes: Uint8Array<ArrayBuffer>, { what }: FileRequest): Response {
    let at = 0;
    return fixedResponse({
      length: bytes.length,
      next: async (signal) => {
        const piece = bytes.subarray(at, at + (256 << 10));
        if (piece.length === 0) return null;
        at += piece.length;
        if (what === "data") await this.#turn(piece.length, signal);
        return piece;
      },
      over: () => {},
    }, { contentType: "application/octet-stream" });
  }

  async #turn(bytes: number, signal: AbortSignal): Promise<void> {
    this.sent += bytes;
    const now = performance.now();
    this.#freeAt = Math.max(this.#freeAt, now - 20) + bytes / this.rate * 1_000;
    const wait = this.#freeAt - now;
    // Timers are late by a millisecond or two: what is owed is made up for with the next piece.
    if (!(wait > 2)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, Math.min(wait, 60_000));
    signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
    clearTimeout(timer);
  }
}

function requestOf(url: string, sha256: string): FileRequest | null {
  const { pathname, searchParams } = new URL(url);
  if (pathname === "/ark/v1/models/manifest") return { what: "manifest", chunk: -1 };
  const what = new RegExp(`^/ark/v1/blobs/sha256-${sha256}/(chunks|have|data)$`).exec(pathname)?.[1];
  if (what !== "chunks" && what !== "have" && what !== "data") return null;
  return { what, chunk: Number(searchParams.get("chunk") ?? -1) };
}
