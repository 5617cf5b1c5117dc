/** A node's files behind a real listener: nothing of it is a fake but the disk. */
import assert from "node:assert/strict";
import type { AuditRecord } from "@ark/node/audit";
import { blobRoutes, meshApp, PullSessions, type ServedBlob, UploadPace, UploadSlots } from "@ark/node/http";
import { generateIdentity, type Identity, type NodeId } from "@ark/node/identity";
import { type ApprovedPeer, Gate } from "@ark/node/peers";
import {
  Bitfield,
  CHUNK_BYTES,
  chunkCount,
  type ChunkList,
  type ErrorCode,
  type SignedManifest,
  signManifest,
} from "@ark/node/protocol";
import type { ArkEvent } from "@ark/node/telemetry";
import { listenMesh, MeshClient, type MeshListener, type MeshPeer } from "@ark/node/transport";
import { createHash } from "node:crypto";
import { FakeClock } from "../transport/mesh_fixture.ts";

/** A file in memory. */
export class MemoryBlob implements ServedBlob {
  readonly sha256: string;
  readonly size: number;
  readonly have: Bitfield;
  readonly bytes: Uint8Array<ArrayBuffer>;
  version = 1;
  /** How often a chunk was read. */
  reads = 0;
  /** Holds reads back until it resolves. */
  gate: Promise<void> = Promise.resolve();

  constructor(size: number, { have }: { have?: Bitfield } = {}) {
    this.bytes = new Uint8Array(size);
    for (let at = 0; at < size; at += 65_536) {
      crypto.getRandomValues(this.bytes.subarray(at, Math.min(size, at + 65_536)));
    }
    this.size = size;
    this.sha256 = createHash("sha256").update(this.bytes).digest("hex");
    this.have = have ?? Bitfield.full(chunkCount(size));
  }

  chunk(index: number): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES);
  }

  chunks(): Promise<ChunkList> {
    const count = chunkCount(this.size);
    const hashes = new Uint8Array(32 * count);
    for (let i = 0; i < count; i++) hashes.set(createHash("sha256").update(this.chunk(i)).digest(), 32 * i);
    return Promise.resolve({ size: this.size, hashes });
  }

  async read(index: number, into?: Uint8Array): Promise<Uint8Array> {
    this.reads++;
    await this.gate;
    assert.ok(this.have.get(index), "Only what is here is read");
    into?.set(this.chunk(index));
    return into ?? this.chunk(index);
  }
}

/** Options of {@linkcode ServingNode.start}. */
export interface ServingOptions {
  /** Files, and the models that each belongs to. */
  files: [MemoryBlob, string[]][];
  /** Bytes in a second. */
  limit?: number;
  /** Whether a model works now. */
  working?: () => boolean;
  /** Makes the audit log fail. */
  unrecorded?: () => boolean;
}

/** What peers may do, and all that was told of them. */
export class ServingNode implements AsyncDisposable {
  readonly identity: Identity = generateIdentity();
  readonly clock = new FakeClock();
  readonly peers = new Map<NodeId, ApprovedPeer>();
  readonly audit: AuditRecord[] = [];
  readonly events: ArkEvent[] = [];
  readonly denials: { code: ErrorCode; nodeId: NodeId | null; model?: string }[] = [];
  readonly slots = new UploadSlots({ waitMs: 600_000 });
  readonly sent = new Map<NodeId, number>();
  readonly sessions: PullSessions;
  readonly pace: UploadPace;
  readonly #clients: MeshClient[] = [];
  #listener: MeshListener | null = null;

  private constructor({ limit, working = () => false, unrecorded = () => false }: ServingOptions) {
    this.pace = new UploadPace({ limit: limit ?? null, working });
    const gate = new Gate(this.lookup);
    this.sessions = new PullSessions({
      audit: {
        append: (record) => {
          if (unrecorded()) return Promise.reject(new Error("The disk is full"));
          this.audit.push(record);
          return Promise.resolve({} as never);
        },
      },
      events: { emit: (event) => void this.events.push(event) },
      logger: { warn() {} },
      may: (id, model) => {
        const peer = this.peers.get(id);
        return peer !== undefined && gate.permits(peer, "pull", model);
      },
    });
  }

  readonly lookup = { get: (id: NodeId) => this.peers.get(id) };

  static async start(options: ServingOptions): Promise<ServingNode> {
    const node = new ServingNode(options);
    const { files } = options;
    const ids = new Set(files.flatMap(([, models]) => models));
    const gate = new Gate(node.lookup);
    const denials = { note: (denial: ServingNode["denials"][number]) => void node.denials.push(denial) };
    const blobs = blobRoutes({
      files: {
        find: (sha256) => files.find(([blob]) => blob.sha256 === sha256)?.[0],
        modelsOf: (sha256) => files.find(([blob]) => blob.sha256 === sha256)?.[1] ?? [],
        manifest: (model) => Promise.resolve(node.manifest(model, files)),
      },
      modelOf: (ref) => ids.has(ref) ? ref : undefined,
      peers: node.lookup,
      gate,
      accepting: () => true,
      sessions: node.sessions,
      slots: node.slots,
      pace: node.pace,
      denials,
      sent: (peer, bytes) => void node.sent.set(peer, (node.sent.get(peer) ?? 0) + bytes),
    });
    const app = meshApp({
      identity: node.identity,
      name: "Serving",
      peers: node.lookup,
      gate,
      audit: { append: () => Promise.reject(new Error("Nothing else is asked here")) },
      denials: denials as never,
      blobs,
      engine: null,
      contextSize: 64,
      accepting: () => true,
      asked() {},
      logger: { warn() {} },
      events: { emit() {} },
    });
    node.#listener = await listenMesh({
      identity: node.identity,
      hostname: "127.0.0.1",
      port: 0,
      clock: node.clock,
      standing: (id) => node.peers.has(id) ? "approved" : "unknown",
      handler: (request, caller) => app.fetch(request, caller),
      limits: { burstPerSource: 10_000, strangersPerSource: 10_000, writeStallMs: 600_000 },
    });
    node.clock.pass(121);
    return node;
  }

  manifest(model: string, files: ServingOptions["files"]): SignedManifest {
    return signManifest(this.identity, {
      version: 1,
      model,
      files: files.filter(([, models]) => models.includes(model)).map(([blob], index) => ({
        name: `part-${index}.gguf`,
        sha256: blob.sha256,
        size: blob.size,
        root: blob.sha256,
      })),
      template: null,
      system: null,
      parameters: {},
      license: null,
      made_at: "2026-11-21T00:00:00.000Z",
    });
  }

  get listener(): MeshListener {
    return this.#listener ?? assert.fail("It does not listen");
  }

  get target(): MeshPeer {
    return { id: this.identity.id, addresses: [{ hostname: "127.0.0.1", port: this.listener.port }] };
  }

  /** A new peer that may download what matches. */
  peer(...models: string[]): ServedPeer {
    const identity = generateIdentity();
    const client = new MeshClient({ identity, clock: this.clock });
    this.#clients.push(client);
    const peer = new ServedPeer(this, { identity, client });
    peer.may({ can_pull_models: true, models_shared: models });
    return peer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client[Symbol.asyncDispose]();
    await this.listener[Symbol.asyncDispose]();
    await this.sessions.close();
  }
}

/** An answer, whole. */
export interface Served {
  status: number;
  /** Without what differs each time: the date and the signature. */
  headers: Record<string, string>;
  bytes: Uint8Array<ArrayBuffer>;
  text: string;
}

/** A peer that asks for files. */
export class ServedPeer {
  readonly id: NodeId;
  readonly client: MeshClient;
  readonly #node: ServingNode;

  constructor(node: ServingNode, { identity, client }: { identity: Identity; client: MeshClient }) {
    this.#node = node;
    this.id = identity.id;
    this.client = client;
  }

  /** Changes what it may do. */
  may(permissions: Partial<ApprovedPeer["permissions"]>, more: Partial<ApprovedPeer> = {}): void {
    const before = this.#node.peers.get(this.id);
    this.#node.peers.set(this.id, {
      node_id: this.id,
      name: "peer",
      approved_at: "2026-11-21T00:00:00.000Z",
      ...before,
      ...more,
      permissions: {
        can_request_inference: false,
        can_pull_models: false,
        models_shared: [],
        max_concurrent_requests: 1,
        ...before?.permissions,
        ...permissions,
      },
    } as ApprovedPeer);
  }

  /** Asks for something, and reads all of it. */
  async get(path: string, { signal, method = "GET" }: { signal?: AbortSignal; method?: string } = {}): Promise<Served> {
    const response = await this.client.request(this.#node.target, {
      method,
      path,
      deadlineMs: 60_000,
      ...(signal === undefined ? {} : { signal }),
    });
    const bytes = new Uint8Array(await new Response(response.body).arrayBuffer());
    const own = new Set(["date", "signature", "signature-input"]);
    const headers = Object.fromEntries([...response.headers].filter(([name]) => !own.has(name)));
    return { status: response.status, headers, bytes, text: new TextDecoder().decode(bytes.subarray(0, 4_096)) };
  }

  data(blob: MemoryBlob, index: number, signal?: AbortSignal): Promise<Served> {
    return this.get(blobPath(blob.sha256, `data?chunk=${index}`), signal === undefined ? {} : { signal });
  }
}

/** A path of `ark-blobs/1`. */
export function blobPath(sha256: string, what: string): string {
  return `/ark/v1/blobs/sha256-${sha256}/${what}`;
}
