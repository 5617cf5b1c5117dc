import { formatNodeId, type Identity, type NodeId, publicKeyOf, shortId } from "@ark/node/identity";
import { ArkError } from "@ark/node/protocol";
import { answerBody, type BodyWays } from "./answer_body.ts";
import { TLS_NAME } from "./certificate.ts";
import { type Clock, SYSTEM_CLOCK } from "./clock.ts";
import { ConnectionPool } from "./connection_pool.ts";
import { Exchange } from "./exchange.ts";
import { checkCall, type CheckedCall, type MeshCall, type MeshPeer, type MeshResponse } from "./mesh_call.ts";
import { signatureHash } from "./message_signature.ts";
import { PeerClock } from "./peer_clock.ts";
import { DIAL_TIMES, type DialTimes } from "./pinned_connection.ts";
import type { IncomingHead } from "./response_reader.ts";
import { signRequest } from "./signed_request.ts";
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

interface Peer {
  key: Uint8Array<ArrayBuffer>;
  pool: ConnectionPool;
  clock: PeerClock;
}

/** Everything that one call needs on its way. */
interface Call extends CheckedCall {
  to: MeshPeer;
  peer: Peer;
  /** Monotonic milliseconds. */
  until: number;
  signal: AbortSignal;
  apart: boolean;
}

const ENCODER = new TextEncoder();

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
    const late = () => {
      hangUp.abort(
        new ArkError("unavailable", `The peer ${shortId(to.id)} did not answer within ${call.deadlineMs} ms`),
      );
    };
    let timer: ReturnType<typeof setTimeout> | undefined;
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
      const asked = this.#ask({
        ...checked,
        to,
        peer,
        until,
        signal: hangUp.signal,
        apart: call.apart === true,
      });
      // Where a connection is at hand the request is on its way by now: that is what comes first.
      timer = setTimeout(late, call.deadlineMs);
      call.signal?.addEventListener("abort", onAbort, { once: true });
      const answer = await asked;
      if (call.whole !== true) clearTimeout(timer);
      return { ...answer.response, ...answerBody(answer.exchange, { signal: hangUp.signal, end }) };
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
    // Where a connection is at hand the request is on its way before this returns: what the caller does next costs no time.
    const lease = (call.apart || call.signal.aborted ? null : call.peer.pool.takeNow()) ??
      await call.peer.pool.take(call.to.addresses, { ...call, fresh: false });
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

interface Answer {
  response: Omit<MeshResponse, BodyWays>;
  exchange: Exchange;
  /** Which refusal of the transport it is, as far as it matters here. */
  code: "ark_clock" | null;
}

function codeOf({ status, headers }: IncomingHead): "ark_clock" | null {
  return status === 401 && headers.has("ark-nonce") ? "ark_clock" : null;
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
