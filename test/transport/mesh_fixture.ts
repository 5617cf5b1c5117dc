/** A listener, its clock and what it was told, and callers that build their requests by hand, so that they can be wrong. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { generateIdentity, Identity, type NodeId } from "@ark/node/identity";
import {
  type Caller,
  type Clock,
  type Introductions,
  listenMesh,
  MeshClient,
  type MeshClientOptions,
  type MeshLimits,
  type MeshListener,
  type MeshPeer,
  type MeshRequest,
  type Refusal,
  type Standing,
} from "@ark/node/transport";
import { TLS_NAME, trustAnchor } from "../../src/transport/certificate.ts";
import { contentDigest } from "../../src/transport/message_signature.ts";
import { type RequestHead, type SignatureStamp, signRequest } from "../../src/transport/signed_request.ts";

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

/** An identity from a fixed seed, for bytes that never change. */
export function identityOfSeed(fill: number): Identity {
  const prefix = Uint8Array.fromHex("302e020100300506032b657004220420");
  const pkcs8 = new Uint8Array([...prefix, ...new Uint8Array(32).fill(fill)]).toBase64();
  return new Identity(`-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`);
}

/** Clocks that stand still until a test moves them. */
export class FakeClock implements Clock {
  #monotonic = 1_000_000.25;
  #wall = Date.UTC(2026, 10, 21);

  monotonicMs(): number {
    return this.#monotonic;
  }

  wallMs(): number {
    return this.#wall;
  }

  /** Lets time go by on both clocks. */
  pass(seconds: number): void {
    this.#monotonic += seconds * 1_000;
    this.#wall += seconds * 1_000;
  }

  /** Sets the wall clock forward or back, as people and time servers do. */
  stepWall(seconds: number): void {
    this.#wall += seconds * 1_000;
  }

  /** The wall clock as `created` has it. */
  get created(): number {
    return Math.floor(this.#wall / 1_000);
  }
}

/** A request in parts, which a test may spoil before it sends them. */
export interface RawRequest {
  method: string;
  target: string;
  fields: [name: string, value: string][];
  body: string;
}

/** What to put into a {@linkcode signed} request. */
export type RawOptions = Partial<RequestHead & SignatureStamp> & { to: NodeId; body?: string };

/** A nonce that nobody has used. */
export function freshNonce(): string {
  return randomBytes(16).toString("base64url");
}

/** A request that is signed by the letter. */
export function signed(signer: Identity, options: RawOptions): RawRequest {
  const { body = "", ...rest } = options;
  const bytes = ENCODER.encode(body);
  const head = {
    method: body === "" ? "GET" : "POST",
    target: "/ark/v1/offer",
    contentType: "application/json",
    contentLength: bytes.length,
    contentDigest: contentDigest(bytes),
    deadlineMs: 5_000,
    created: Math.floor(Date.now() / 1_000),
    nonce: freshNonce(),
    ...rest,
  };
  const { signatureInput, signatureField } = signRequest(signer, head);
  return {
    method: head.method,
    target: head.target,
    fields: [
      ["Host", TLS_NAME],
      ["Ark-To", head.to],
      ["Ark-Deadline", String(head.deadlineMs)],
      ["Content-Type", head.contentType],
      ["Content-Length", String(head.contentLength)],
      ["Content-Digest", head.contentDigest],
      ["Signature-Input", signatureInput],
      ["Signature", signatureField],
    ],
    body,
  };
}

/** The request with other values for some fields; null removes one. */
export function withFields(request: RawRequest, changes: Record<string, string | null>): RawRequest {
  const fields = request.fields.flatMap(([name, value]): [string, string][] => {
    const change = changes[name];
    if (change === null) return [];
    return [[name, change ?? value]];
  });
  return { ...request, fields };
}

/** The request as the listener's parser hands it on. */
export function parsed(request: RawRequest): { method: string; target: string; rawHeaders: string[] } {
  return { method: request.method, target: request.target, rawHeaders: request.fields.flat() };
}

/** The head of a request as it goes on the wire. */
export function headText({ method, target, fields }: RawRequest): string {
  return [`${method} ${target} HTTP/1.1`, ...fields.map(([name, value]) => `${name}: ${value}`), "", ""].join("\r\n");
}

/** The whole request as it goes on the wire. */
export function requestText(request: RawRequest): string {
  return headText(request) + request.body;
}

/** A caller's end of a TLS connection, with nothing between it and the test. */
export class RawConnection implements Disposable {
  readonly #tls: Deno.TlsConn;
  #open = true;
  #text = "";

  private constructor(tls: Deno.TlsConn) {
    this.#tls = tls;
  }

  /** Connects to a listener and shakes hands. */
  static async open({ port }: { port: number }, key: Uint8Array): Promise<RawConnection> {
    const tcp = await Deno.connect({ hostname: "127.0.0.1", port });
    const options = { hostname: TLS_NAME, caCerts: [trustAnchor(key)], alpnProtocols: ["http/1.1"] };
    const tls = await Deno.startTls(tcp, options);
    try {
      await tls.handshake();
    } catch (error) {
      tls.close();
      throw error;
    }
    return new RawConnection(tls);
  }

  /** Sends text; says whether the other side took it. */
  async send(text: string): Promise<boolean> {
    const bytes = ENCODER.encode(text);
    try {
      for (let at = 0; at < bytes.length;) at += await this.#tls.write(bytes.subarray(at));
      return true;
    } catch {
      return false;
    }
  }

  /** Everything that has come so far, after one more read; null when the other side has closed the connection. */
  async read(): Promise<string | null> {
    const buffer = new Uint8Array(64 << 10);
    const count = await this.#tls.read(buffer).catch(() => null);
    if (count === null) return null;
    this.#text += DECODER.decode(buffer.subarray(0, count));
    return this.#text;
  }

  /** Reads until a pattern matches all that came since the last call; fails when the connection closes before. */
  async readTo(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.#text)) {
      assert.notEqual(await this.read(), null, `The connection closed after: ${this.#text}`);
    }
    const text = this.#text;
    this.#text = "";
    return text;
  }

  /** Reads until the other side closes. */
  async readToEnd(): Promise<string> {
    while (await this.read() !== null);
    return this.#text;
  }

  /** Says that nothing more comes, and goes on reading. */
  async closeWrite(): Promise<void> {
    await this.#tls.closeWrite();
  }

  /** Hangs up. */
  [Symbol.dispose](): void {
    if (this.#open) this.#tls.close();
    this.#open = false;
  }
}

/** What no test reaches by accident; a wait for one of these is a test that hangs, and not one that is slow. */
const ROOMY: Partial<MeshLimits> = {
  burstPerSource: 10_000,
  strangersPerSource: 10_000,
  connectionsPerSource: 10_000,
  writeStallMs: 600_000,
};

/** Options of {@linkcode TestMesh.start}. */
export interface TestMeshOptions {
  /** What the handler does. @default answers with what it was asked */
  handler?: (request: MeshRequest, caller: Caller) => Promise<Response>;
  /** How keys stand; without it, `alice` is approved, `rita` is revoked and nobody else is known. */
  standing?: (id: NodeId) => Standing;
  /** Limits. Sources are not limited unless a test does so. */
  limits?: Partial<MeshLimits>;
  /** Where to listen. @default {"127.0.0.1"} */
  hostname?: string;
  /** Keep the first two minutes, in which the listener insists on nonces of its own. */
  young?: boolean;
  /** Where strangers are heard, too. */
  introductions?: Introductions;
  /** Takes keys and clock of this one: as it would start again, or as another node beside it with the same friends. */
  like?: TestMesh;
  /** Whether it is another node, with a key of its own. */
  other?: boolean;
  /** Called after the refusal was noted. */
  refused?: (refusal: Refusal) => void;
  /** Called after the knock was noted. */
  knock?: () => void;
}

/** Bob's listener on loopback, and everything that it said and was told. */
export class TestMesh implements AsyncDisposable {
  readonly bob: Identity;
  readonly alice: Identity;
  readonly rita: Identity;
  readonly clock: FakeClock;
  /** Requests that reached the handler. */
  readonly handled: { path: string; caller: Caller; signal: AbortSignal }[] = [];
  readonly refusals: Refusal[] = [];
  readonly knocks: { caller: Caller; url: URL }[] = [];
  #listener: MeshListener | null = null;

  private constructor({ like, other = false }: TestMeshOptions) {
    this.bob = like === undefined || other ? generateIdentity() : like.bob;
    this.alice = like?.alice ?? generateIdentity();
    this.rita = like?.rita ?? generateIdentity();
    this.clock = like?.clock ?? new FakeClock();
  }

  static async start(options: TestMeshOptions = {}): Promise<TestMesh> {
    const { handler = echo, hostname = "127.0.0.1", limits = {}, young = false } = options;
    const mesh = new TestMesh(options);
    const standing = options.standing ??
      ((id) => id === mesh.alice.id ? "approved" : id === mesh.rita.id ? "revoked" : "unknown");
    mesh.#listener = await listenMesh({
      identity: mesh.bob,
      hostname,
      port: 0,
      clock: mesh.clock,
      standing,
      handler: (request, caller) => {
        mesh.handled.push({ path: new URL(request.url).pathname, caller, signal: request.signal });
        return handler(request, caller);
      },
      knock: (caller, url) => {
        mesh.knocks.push({ caller, url });
        options.knock?.();
      },
      refused: (refusal) => {
        mesh.refusals.push(refusal);
        options.refused?.(refusal);
      },
      limits: { ...ROOMY, ...limits },
      ...(options.introductions === undefined ? {} : { introductions: options.introductions }),
    });
    if (!young) mesh.clock.pass(121);
    return mesh;
  }

  get listener(): MeshListener {
    assert.ok(this.#listener !== null);
    return this.#listener;
  }

  /** Whom a client has to ask. */
  get peer(): MeshPeer {
    return { id: this.bob.id, addresses: [{ hostname: "127.0.0.1", port: this.listener.port }] };
  }

  /** A client of Alice's, with the clock of the listener unless another one is given. */
  client(options: Partial<MeshClientOptions> = {}): MeshClient {
    return new MeshClient({ identity: this.alice, clock: this.clock, ...options });
  }

  /** A request of Alice's to Bob, signed by the letter and on time. */
  request(options: Partial<RawOptions> = {}, signer: Identity = this.alice): RawRequest {
    return signed(signer, { to: this.bob.id, created: this.clock.created, ...options });
  }

  connect(): Promise<RawConnection> {
    return RawConnection.open(this.listener, this.bob.publicKey);
  }

  /** Sends text on a connection of its own, and returns all that comes back until Bob closes it. */
  async exchange(text: string): Promise<string> {
    using connection = await this.connect();
    await connection.send(text);
    return await connection.readToEnd();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener?.[Symbol.asyncDispose]();
  }
}

async function echo(request: MeshRequest): Promise<Response> {
  return Response.json({ path: new URL(request.url).pathname, body: await request.text() });
}

/** Status of an answer on the wire. */
export function statusOf(text: string): number {
  return Number(text.match(/^HTTP\/1\.1 (\d+)/)?.[1] ?? 0);
}

/** Resolves when a signal fires. */
export function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  else signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}

/** Waits until something is so. */
export async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, "It did not come to pass in a minute");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
