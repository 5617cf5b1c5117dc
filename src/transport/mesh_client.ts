import { formatNodeId, type Identity, type NodeId, publicKeyOf, shortId } from "@ark/node/identity";
import { ArkError } from "@ark/node/protocol";
import { TLS_NAME } from "./certificate.ts";
import { type Clock, SYSTEM_CLOCK } from "./clock.ts";
import { ConnectionPool } from "./connection_pool.ts";
import { Exchange } from "./exchange.ts";
import { contentDigest, signatureHash } from "./message_signature.ts";
import type { PeerAddress } from "./peer_address.ts";
import { PeerClock } from "./peer_clock.ts";
import { DIAL_TIMES, type DialTimes } from "./pinned_connection.ts";
import type { TakeBytes } from "./pump.ts";
import type { IncomingHead } from "./response_reader.ts";
import { isPlainTarget, signRequest } from "./signed_request.ts";
import { verifyResponse } from "./signed_response.ts";

/** Options of {@linkcode MeshClient}. */
export interface MeshClientOptions {
  /** This node, which signs. */
  identity: Identity;
  /** Times of dialling that differ from 1 s to connect, 3 s for the handshake, 250 ms between addresses. */
  times?: Partial<DialTimes>;
  /** Requests to one peer at once; further ones wait, but for those apart. @default {512} */
  connectionsPerPeer?: number;
  /** Idle connections kept to one peer: as many as there may be requests, since a handshake costs more than a hundred tokens. @default {512} */
  idlePerPeer?: number;
  /** How long an idle connection is kept, in milliseconds; a peer keeps it for 60 s. @default {45000} */
  idleMs?: number;
  /** Where time comes from. */
  clock?: Clock;
}

/** Whom to ask: the key that must answer, and where it may be found. */
export interface MeshPeer {
  /** The peer's id. */
  id: NodeId;
  /** Where it may be dialled, likeliest first. */
  addresses: PeerAddress[];
}

/** What to ask. */
export interface MeshCall {
  /** `GET` or `POST`. */
  method: string;
  /** Absolute path with its query, as it goes on the wire. */
  path: string;
  /** Body of a `POST`; at most 1 MiB is accepted by peers. */
  body?: Uint8Array | string;
  /** Type of the body. @default {"application/json"} */
  contentType?: string;
  /** How long the head of the answer may take, dialling included, in milliseconds; the peer is told. */
  deadlineMs: number;
  /** Whether the body must be read by then, too: of short answers, which nobody else watches over. @default {false} */
  whole?: boolean;
  /** Ends the request; the connection is closed at once, so that the peer stops working. */
  signal?: AbortSignal;
  /** Whether it waits for no other request, however many there are: questions whether the peer is there at all. */
  apart?: boolean;
}

/** An answer that the peer signed for this very request. */
export interface MeshResponse {
  /** HTTP status. Refusals are answers too: 403 and 429 come here. */
  status: number;
  /** Header fields. Those that the signature covers are `content-type` and `ark-from`. */
  headers: Headers;
  /** The body as it arrives; nothing is read ahead. Cancelling it hangs up. It fails when the connection breaks. */
  body: ReadableStream<Uint8Array<ArrayBuffer>>;
  /**
   * The next bytes of the body, as many as have arrived; null at its end. The same as reading `body`, in place of it and
   * with fewer turns of promises; the bytes hold until the next call. Whoever began with the one way goes on with it. To hang
   * up, abort the call's signal.
   */
  read?(): Promise<Uint8Array<ArrayBuffer> | null>;
  /**
   * Hands the body over piece by piece until its end, which is told by true, or until `take` gives false: the cheapest way
   * for a body of many small pieces. It may be called again then, and be mixed with {@linkcode read}.
   */
  pump?(take: TakeBytes): Promise<boolean>;
  /**
   * Reads the whole body into a buffer, and tells how long it is. Half the work of {@linkcode read} for large bodies. Not
   * together with the other ways. The answer fails where the body does not fit. `arrived` is told how many bytes have come.
   */
  readInto?(buffer: Uint8Array, arrived?: (bytes: number) => void): Promise<number>;
  /** SHA-256 of the signature of our request, hex. */
  signature: string;
  /** Where the peer answered. */
  address: PeerAddress;
}

interface Peer {
  key: Uint8Array<ArrayBuffer>;
  pool: ConnectionPool;
  clock: PeerClock;
}

/** Everything that one call needs on its way. */
interface Call {
  to: MeshPeer;
  peer: Peer;
  method: string;
  path: string;
  body: Uint8Array;
  digest: string;
  contentType: string;
  /** Monotonic milliseconds. */
  until: number;
  signal: AbortSignal;
  apart: boolean;
}

const ENCODER = new TextEncoder();
const CONTENT_TYPE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;
const MOST_DEADLINE_MS = 999_999_999;

/** Sends signed requests to peers over pinned connections, which it keeps for a while. */
export class MeshClient implements AsyncDisposable {
  readonly #identity: Identity;
  readonly #clock: Clock;
  readonly #options: Required<Omit<MeshClientOptions, "identity" | "clock" | "times">> & DialTimes;
  readonly #peers = new Map<NodeId, Peer>();
  readonly #calls = new Map<AbortController, { id: NodeId; settled: Promise<unknown> }>();
  #closed = false;

  /** Makes a client that has no connection yet. */
  constructor(options: MeshClientOptions) {
    const { identity, clock = SYSTEM_CLOCK, connectionsPerPeer = 512, idlePerPeer = 512, idleMs = 45_000 } = options;
    this.#identity = identity;
    this.#clock = clock;
    this.#options = { connectionsPerPeer, idlePerPeer, idleMs, ...DIAL_TIMES, ...options.times };
  }

  /**
   * Sends a request and returns the signed answer as soon as its head is there. The peer's clock, a nonce that it asks for
   * and a kept connection that has died meanwhile are dealt with here.
   *
   * @throws {ArkError} `unavailable` when the peer cannot be reached, breaks off, is late or does not sign its answer;
   * `unauthenticated` when it does not accept this node; `clock` when it insists on a nonce and gives none that works;
   * `cancelled` when the signal fires.
   * @throws {TypeError} when the call itself is malformed.
   */
  async request(to: MeshPeer, call: MeshCall): Promise<MeshResponse> {
    const checked = checkCall(call);
    if (this.#closed) throw new ArkError("cancelled", "The node is stopping");
    const hangUp = new AbortController();
    const settled = Promise.withResolvers<void>();
    const onAbort = () => {
      hangUp.abort(new ArkError("cancelled", "The request was cancelled", { cause: call.signal?.reason }));
    };
    const timer = setTimeout(() => {
      hangUp.abort(
        new ArkError("unavailable", `The peer ${shortId(to.id)} did not answer within ${call.deadlineMs} ms`),
      );
    }, call.deadlineMs);
    call.signal?.addEventListener("abort", onAbort, { once: true });
    if (call.signal?.aborted) onAbort();
    this.#calls.set(hangUp, { id: to.id, settled: settled.promise });
    const end = () => {
      clearTimeout(timer);
      call.signal?.removeEventListener("abort", onAbort);
      this.#calls.delete(hangUp);
      settled.resolve();
    };
    try {
      const peer = this.#peer(to.id);
      const until = this.#clock.monotonicMs() + call.deadlineMs;
      const answer = await this.#ask({
        ...checked,
        to,
        peer,
        until,
        signal: hangUp.signal,
        apart: call.apart === true,
      });
      if (call.whole !== true) clearTimeout(timer);
      return { ...answer.response, ...bodyOf(answer.exchange, { signal: hangUp.signal, end }) };
    } catch (error) {
      end();
      throw error;
    }
  }

  /** How far a peer's clock is ahead of ours in milliseconds; 0 where it agrees or is not known. */
  clockOffsetMs(id: NodeId): number {
    return this.#peers.get(id)?.clock.offsetMs ?? 0;
  }

  /** Closes every connection to a peer; running requests and answers fail with `cancelled`. */
  disconnect(id: NodeId): void {
    for (const [hangUp, call] of this.#calls) {
      if (call.id === id) hangUp.abort(new ArkError("cancelled", "This node closed its connections to the peer"));
    }
    this.#peers.get(id)?.pool.closeAll();
    this.#peers.delete(id);
  }

  /** Closes the connections to a peer that carry no request now; the next one that is needed is new. */
  closeIdle(id: NodeId): void {
    this.#peers.get(id)?.pool.closeIdle();
  }

  /** Closes every connection and waits for running requests to fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const settled = [...this.#calls.values()].map((call) => call.settled);
    for (const hangUp of this.#calls.keys()) hangUp.abort(new ArkError("cancelled", "The node is stopping"));
    for (const { pool } of this.#peers.values()) pool.closeAll();
    this.#peers.clear();
    await Promise.all(settled);
  }

  #peer(id: NodeId): Peer {
    let peer = this.#peers.get(id);
    if (peer === undefined) {
      const { connectionsPerPeer, idlePerPeer, ...rest } = this.#options;
      const key = publicKeyOf(id);
      const pool = new ConnectionPool(key, { ...rest, most: connectionsPerPeer, mostIdle: idlePerPeer });
      peer = { key, pool, clock: new PeerClock(this.#clock) };
      this.#peers.set(id, peer);
    }
    return peer;
  }

  async #ask(call: Call): Promise<Answer> {
    const first = await this.#send(call);
    if (first.code !== "ark_clock") return first;
    await drain(first.exchange);
    if (!call.peer.clock.learn(first.response.headers)) throw clockError(call.to.id);
    const second = await this.#send(call);
    if (second.code !== "ark_clock") return second;
    second.exchange.end("broken");
    throw clockError(call.to.id);
  }

  /**
   * Sends once; where a kept connection turns out to be dead, once more on a fresh one. That is the very same message, so
   * a peer that did get it the first time refuses it now, and nothing is done twice.
   */
  async #send(call: Call): Promise<Answer> {
    const lease = await call.peer.pool.take(call.to.addresses, { ...call, fresh: false });
    const exchange = new Exchange(lease, call.signal);
    const message = this.#message(call);
    let lost: unknown;
    try {
      return await this.#exchange(call, { exchange, message });
    } catch (error) {
      if (!exchange.stale) throw error;
      lost = error;
    }
    const fresh = await call.peer.pool.take(call.to.addresses, { ...call, fresh: true });
    const again = await this.#exchange(call, { exchange: new Exchange(fresh, call.signal), message });
    if (again.response.status !== 401 || again.code === "ark_clock") return again;
    again.exchange.end("broken");
    throw lost;
  }

  async #exchange(
    call: Call,
    { exchange, message: { bytes, signature } }: { exchange: Exchange; message: Message },
  ): Promise<Answer> {
    const head = await exchange.start(bytes);
    const expected = { id: call.to.id, key: call.peer.key, request: signature };
    if (!verifyResponse(head, expected)) {
      exchange.end("broken");
      throw head.status === 401 ? strangerError(call.to.id, this.#identity.id) : unsignedError(call.to.id);
    }
    const response = {
      status: head.status,
      headers: head.headers,
      signature: signatureHash(signature),
      address: exchange.address,
    };
    return { response, exchange, code: codeOf(head) };
  }

  /** Signs the call, with a stamp that counts once, and puts it in the form of the wire. */
  #message(call: Call): Message {
    const deadlineMs = Math.max(1, Math.floor(call.until - this.#clock.monotonicMs()));
    const head = {
      method: call.method,
      target: call.path,
      contentType: call.contentType,
      contentLength: call.body.length,
      contentDigest: call.digest,
      to: call.to.id,
      deadlineMs,
      ...call.peer.clock.stamp(),
    };
    const { signatureInput, signatureField, signature } = signRequest(this.#identity, head);
    const text = ENCODER.encode(
      `${head.method} ${head.target} HTTP/1.1\r\nHost: ${TLS_NAME}\r\nAccept-Encoding: identity\r\n` +
        `Ark-To: ${head.to}\r\nArk-Deadline: ${deadlineMs}\r\nContent-Type: ${head.contentType}\r\n` +
        `Content-Length: ${head.contentLength}\r\nContent-Digest: ${head.contentDigest}\r\n` +
        `Signature-Input: ${signatureInput}\r\nSignature: ${signatureField}\r\n\r\n`,
    );
    const bytes = new Uint8Array(text.length + call.body.length);
    bytes.set(text);
    bytes.set(call.body, text.length);
    return { bytes, signature };
  }
}

/** A signed request as it goes on the wire. */
interface Message {
  bytes: Uint8Array;
  signature: Uint8Array;
}

/** The ways to the body of an answer. */
type BodyWays = "body" | "read" | "pump" | "readInto";

interface Answer {
  response: Omit<MeshResponse, BodyWays>;
  exchange: Exchange;
  /** Which refusal of the transport it is, as far as it matters here. */
  code: "ark_clock" | null;
}

function checkCall(call: MeshCall): Pick<Call, "method" | "path" | "body" | "digest" | "contentType"> {
  const { method, path, deadlineMs, contentType = "application/json" } = call;
  const body = typeof call.body === "string" ? ENCODER.encode(call.body) : call.body ?? new Uint8Array(0);
  if (method !== "GET" && method !== "POST") throw new TypeError(`Cannot send a request with method ${method}`);
  if (method === "GET" && body.length > 0) throw new TypeError("Cannot send a GET request with a body");
  if (!isPlainTarget(path)) throw new TypeError(`Cannot send a request for a path that is not in plain form: ${path}`);
  if (!CONTENT_TYPE.test(contentType)) throw new TypeError("Cannot send a content type that is not printable ASCII");
  if (!Number.isFinite(deadlineMs) || deadlineMs < 1 || deadlineMs > MOST_DEADLINE_MS) {
    throw new RangeError(`Cannot send a request with this deadline: ${deadlineMs} ms`);
  }
  return { method, path, body, digest: contentDigest(body), contentType };
}

function codeOf({ status, headers }: IncomingHead): "ark_clock" | null {
  return status === 401 && headers.has("ark-nonce") ? "ark_clock" : null;
}

/** A body that reads only when it is asked, and gives the connection back when it ends in whatever way. */
function bodyOf(
  exchange: Exchange,
  { signal, end }: { signal: AbortSignal; end: () => void },
): Required<Pick<MeshResponse, BodyWays>> {
  let over = false;
  const stop = () => {
    over = true;
    signal.removeEventListener("abort", onAbort);
    end();
  };
  const finish = async () => {
    await exchange.finish();
    stop();
  };
  let fail: (reason: unknown) => void = () => {};
  const onAbort = () => {
    // A reader that waits gets its answer here; the connection is closed by the exchange.
    exchange.end("broken");
    fail(signal.reason);
    stop();
  };
  const read = async () => {
    if (over) {
      signal.throwIfAborted();
      return null;
    }
    try {
      const chunk = await exchange.readView();
      if (!exchange.done) return chunk;
      // The next request may work in the same buffer: it may begin before anybody knows that this one is over.
      const last = chunk?.slice() ?? null;
      await finish();
      return last;
    } catch (error) {
      stop();
      throw exchange.failed(error);
    }
  };
  const pump = async (take: TakeBytes) => {
    if (over) {
      signal.throwIfAborted();
      return true;
    }
    try {
      const whole = await exchange.pump(take);
      if (whole || exchange.done) await finish();
      return whole;
    } catch (error) {
      stop();
      throw exchange.failed(error);
    }
  };
  const readInto = async (buffer: Uint8Array, arrived?: (bytes: number) => void) => {
    signal.throwIfAborted();
    try {
      const count = over ? 0 : await exchange.readInto(buffer, arrived);
      if (!over) await finish();
      return count;
    } catch (error) {
      stop();
      throw exchange.failed(error);
    }
  };
  signal.addEventListener("abort", onAbort, { once: true });
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start: async (controller) => {
      fail = (reason) => controller.error(reason);
      if (!exchange.done) return;
      controller.close();
      await finish();
    },
    pull: async (controller) => {
      try {
        const chunk = await read();
        if (chunk !== null) controller.enqueue(chunk.slice());
        if (over) controller.close();
      } catch (error) {
        controller.error(error);
      }
    },
    cancel: () => {
      exchange.end("broken");
      stop();
    },
  }, { highWaterMark: 0 });
  // It may have fired while the head of the answer was on its way here.
  if (signal.aborted) onAbort();
  return { body, read, pump, readInto };
}

const MOST_DRAINED_BYTES = 4 << 10;

/** Reads a short body away, so that the connection can carry the next request. */
async function drain(exchange: Exchange): Promise<void> {
  let count = 0;
  while (!exchange.done && count <= MOST_DRAINED_BYTES) count += (await exchange.read())?.length ?? 0;
  await exchange.finish();
}

function strangerError(id: NodeId, own: NodeId): ArkError {
  return new ArkError(
    "unauthenticated",
    `The peer ${shortId(id)} does not accept this node: its owner has to approve ${formatNodeId(own)}`,
  );
}

function unsignedError(id: NodeId): ArkError {
  return new ArkError("unavailable", `The peer ${shortId(id)} sent an answer that is not signed for this request`);
}

function clockError(id: NodeId): ArkError {
  return new ArkError("clock", `The peer ${shortId(id)} does not accept the time of this node: check both clocks`);
}
