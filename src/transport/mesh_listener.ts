import type { IncomingMessage, ServerResponse } from "node:http";
import type { Server } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Identity, NodeId } from "@ark/node/identity";
import { ArkError, type ErrorCode } from "@ark/node/protocol";
import { Authenticator, type ProvenHead } from "./authenticator.ts";
import type { Caller } from "./caller.ts";
import { TLS_NAME } from "./certificate.ts";
import { type Clock, SYSTEM_CLOCK } from "./clock.ts";
import { fixedBody, writeFixed } from "./fixed_body.ts";
import { Knocks } from "./knocks.ts";
import { type Exchange, linger } from "./linger.ts";
import { MESH_LIMITS, type MeshLimits } from "./mesh_limits.ts";
import type { MeshListenOptions } from "./mesh_listen_options.ts";
import { meshServer } from "./mesh_server.ts";
import { MeshSockets } from "./mesh_sockets.ts";
import { NOT_ALLOWED, type RefusalCode, REFUSALS } from "./refusal.ts";
import { ReplayWindow } from "./replay_window.ts";
import { RequestBody } from "./request_body.ts";
import { headersOf, writeBody } from "./response_writer.ts";
import { signResponse } from "./signed_response.ts";
import { plainAddress, SourceLimiter } from "./source_limiter.ts";

/** A running mesh listener. Disposing it cuts every connection and waits for the handlers to return. */
export interface MeshListener extends AsyncDisposable {
  /** Address it listens on. */
  readonly hostname: string;
  /** Port it listens on. */
  readonly port: number;
  /** Cuts every connection on which a key has proved itself, and aborts its requests. Returns how many were cut. */
  disconnect(id: NodeId): number;
}

/**
 * Listens for peers: TLS 1.3 with this node's certificate, and requests signed by approved keys. Rejects when the address
 * cannot be listened on.
 */
export async function listenMesh(options: MeshListenOptions): Promise<MeshListener> {
  const listener = new HttpsMeshListener(options);
  await listener.listen(options);
  return listener;
}

class HttpsMeshListener implements MeshListener {
  hostname = "";
  port = 0;
  readonly #identity: Identity;
  readonly #options: MeshListenOptions;
  readonly #limits: MeshLimits;
  readonly #clock: Clock;
  readonly #authenticator: Authenticator;
  readonly #sockets: MeshSockets;
  readonly #server: Server;
  readonly #running = new Set<Promise<void>>();
  readonly #knocks: Knocks;
  readonly #turnedAway = new WeakSet<Socket>();
  readonly #latest = new WeakMap<Socket, ServerResponse>();

  constructor(options: MeshListenOptions) {
    const { identity, standing, clock = SYSTEM_CLOCK } = options;
    const limits = { ...MESH_LIMITS, ...options.limits };
    this.#identity = identity;
    this.#options = options;
    this.#limits = limits;
    this.#clock = clock;
    this.#knocks = new Knocks(clock, limits.knockMs);
    this.#authenticator = new Authenticator({
      identity,
      standing: (id) => standing(id),
      replays: new ReplayWindow({ clock, noncesPerPeer: limits.noncesPerPeer }),
      bodyBytes: limits.bodyBytes,
      ...(options.introductions === undefined ? {} : {
        introductions: {
          paths: options.introductions.paths,
          bodyBytes: limits.introductionBytes,
          replays: new ReplayWindow({
            clock,
            noncesPerPeer: limits.introductionsPerKey,
            mostStrangers: limits.introducedKeys,
          }),
        },
      }),
    });
    this.#sockets = new MeshSockets(new SourceLimiter(limits, clock), {
      most: limits.connections,
      strangers: limits.strangers,
    });
    this.#server = this.#createServer();
  }

  async listen({ hostname, port }: { hostname: string; port: number }): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    this.#server.listen({ host: hostname, port }, resolve);
    await promise;
    this.#server.off("error", reject);
    // A failing accept, for want of file descriptors say, concerns one connection and not the node.
    this.#server.on("error", () => {});
    const address = this.#server.address() as AddressInfo;
    this.hostname = address.address;
    this.port = address.port;
  }

  disconnect(id: NodeId): number {
    return this.#sockets.destroy(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    this.#sockets.destroyAll();
    await promise;
    await Promise.allSettled(this.#running);
  }

  #createServer(): Server {
    const server = meshServer(this.#identity, {
      limits: this.#limits,
      admits: (socket) => {
        // A destroyed socket does not say any more where it came from.
        const remote = remoteOf(socket);
        if (this.#sockets.admit(socket)) return true;
        this.#report("busy", { remote, nodeId: null });
        return false;
      },
    });
    server.on("request", (incoming, outgoing) => {
      try {
        this.#serve(incoming, outgoing);
      } catch {
        // A fault in `standing` lets nobody in, and must not let a stranger's request end the node.
        this.#report("internal", { remote: remoteOf(incoming.socket), nodeId: null });
        incoming.socket.destroy();
      }
    });
    server.on("checkContinue", (_, outgoing: ServerResponse) => this.#notAllowed(outgoing.socket));
    server.on("checkExpectation", (_, outgoing: ServerResponse) => this.#notAllowed(outgoing.socket));
    server.on("upgrade", (_, socket: Socket) => this.#notAllowed(socket));
    server.on("connect", (_, socket: Socket) => this.#notAllowed(socket));
    server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
      // A caller that hangs up is no attack; a malformed or late request gets no answer.
      if (error.code !== "ECONNRESET") this.#report("bad_request", { remote: remoteOf(socket), nodeId: null });
      socket.destroy();
    });
    return server;
  }

  #serve(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { socket } = incoming;
    if (this.#isOccupied(socket)) return void socket.destroy();
    this.#latest.set(socket, outgoing);
    const method = incoming.method ?? "";
    // The version is not signed, so there is only one.
    if ((method !== "GET" && method !== "POST") || incoming.httpVersion !== "1.1") return this.#notAllowed(socket);
    const target = incoming.url ?? "";
    const verdict = this.#authenticator.check({ method, target, rawHeaders: incoming.rawHeaders });
    if (verdict.head !== null && verdict.outcome === "refused" && verdict.standing === "unknown") {
      this.#knock(verdict.head, remoteOf(socket));
    }
    if (verdict.outcome === "refused") {
      const { code, head, standing, nonce } = verdict;
      if (standing === "approved" && head !== null) this.#sockets.proven(socket, head.keyId);
      return this.#refuse({ incoming, outgoing }, { code, head, ...(nonce === undefined ? {} : { nonce }) });
    }
    const { head, introduction } = verdict;
    // Whoever introduces himself stays a stranger to the limits of connections.
    if (!introduction || this.#options.standing(head.keyId) === "approved") this.#sockets.proven(socket, head.keyId);
    const handler = introduction ? this.#options.introductions?.handler : this.#options.handler;
    if (handler === undefined) return void socket.destroy();
    const running = this.#answer({ incoming, outgoing }, { head, handler }).catch(() => void socket.destroy());
    this.#running.add(running);
    running.finally(() => this.#running.delete(running));
  }

  async #answer(exchange: Exchange, work: Work): Promise<void> {
    const { incoming, outgoing } = exchange;
    const { socket } = incoming;
    const gone = new AbortController();
    const leave = () => {
      if (!outgoing.writableFinished) gone.abort(new ArkError("cancelled", "The caller went away"));
    };
    outgoing.once("close", leave);
    // An answer whose turn on the connection has not come yet would never hear of its end.
    socket.once("close", leave);
    outgoing.on("error", () => {});
    incoming.on("error", () => {});
    try {
      await this.#handle(exchange, { ...work, signal: gone.signal });
    } finally {
      socket.off("close", leave);
    }
  }

  async #handle(exchange: Exchange, { head, handler, signal }: Work & { signal: AbortSignal }): Promise<void> {
    const { incoming, outgoing } = exchange;
    const body = head.contentLength === 0 ? null : new RequestBody(incoming, {
      contentLength: head.contentLength,
      contentDigest: head.contentDigest,
      timeoutMs: this.#limits.requestMs,
    });
    const request = new Request(urlOf(head), {
      method: head.method,
      // Only what the signature covers: nothing else can change what a request means.
      headers: {
        "content-type": head.contentType,
        "content-length": String(head.contentLength),
        "ark-deadline": String(head.deadlineMs),
      },
      body: body?.stream ?? null,
    });
    // Given to the constructor it would become another one that follows it.
    Object.defineProperty(request, "signal", { value: signal });
    body?.belongsTo(request);
    const caller = callerOf(head, remoteOf(incoming.socket));
    let response: Response;
    try {
      response = await handler(request, caller);
    } catch {
      // A handler that gives up because the caller is gone has no fault.
      if (signal.aborted && !body?.forged) return;
      return this.#refuse(exchange, { code: body?.forged ? "unauthenticated" : "internal", head });
    }
    const fixed = fixedBody(response);
    let fixedOver = fixed === null;
    try {
      if (body?.forged) return this.#refuse(exchange, { code: "unauthenticated", head });
      if (signal.aborted) return;
      // A body that the handler did not want must not keep the request unfinished.
      if (body?.taken !== true) incoming.resume();
      const fields = headersOf(response);
      outgoing.writeHead(response.status, {
        ...fields,
        ...(fixed === null ? {} : { "content-length": String(fixed.length) }),
        ...this.#signed({ status: response.status, contentType: fields["content-type"] ?? "", head }),
      });
      if (fixed !== null) {
        fixedOver = true;
        return await writeFixed(outgoing, fixed, { stallMs: this.#limits.writeStallMs, signal });
      }
      await writeBody(outgoing, { body: response.body, stallMs: this.#limits.writeStallMs, signal });
    } finally {
      // Whatever produces an answer that is not sent must stop.
      if (!fixedOver) fixed?.over(false);
      if (response.body?.locked === false) await response.body.cancel().catch(() => {});
    }
  }

  /** Turns a request away. Whoever is known to have signed it gets a signed answer, everybody else the uniform one. */
  #refuse(
    { incoming, outgoing }: Exchange,
    { code, head, nonce }: { code: RefusalCode; head: ProvenHead | null; nonce?: string },
  ): void {
    const { socket } = incoming;
    this.#report(code, { remote: remoteOf(socket), nodeId: head?.keyId ?? null });
    const { status, body } = REFUSALS[code];
    const fields = { "content-type": "application/json", "content-length": String(body.length) };
    outgoing.on("error", () => {});
    incoming.on("error", () => {});
    if (head !== null && nonce !== undefined) {
      // The caller asks again at once: the connection stays, and the body must not stand in the way.
      incoming.resume();
      outgoing.writeHead(status, {
        ...fields,
        date: new Date(this.#clock.wallMs()).toUTCString(),
        "ark-nonce": nonce,
        ...this.#signed({ status, contentType: fields["content-type"], head }),
      });
      outgoing.end(body);
      return;
    }
    this.#turnedAway.add(socket);
    // The date would make answers differ.
    outgoing.sendDate = false;
    const signed = code === "unauthenticated" || head === null
      ? {}
      : this.#signed({ status, contentType: fields["content-type"], head });
    const hurry = code === "busy" ? { "retry-after": "60" } : {};
    outgoing.writeHead(status, { ...fields, ...hurry, ...signed, connection: "close" });
    linger({ incoming, outgoing }, { refusal: body, limits: this.#limits });
  }

  #signed(answer: { status: number; contentType: string; head: ProvenHead }): Record<string, string> {
    const { status, contentType, head } = answer;
    const created = Math.max(0, Math.floor(this.#clock.wallMs() / 1_000));
    return signResponse(this.#identity, { status, contentType, request: head.signature, created });
  }

  #notAllowed(socket: Socket | null): void {
    if (socket === null) return;
    // What was an exchange of HTTP may be a bare socket by now, whose errors nobody else takes.
    socket.on("error", () => {});
    if (this.#isOccupied(socket)) return void socket.destroy();
    this.#report("bad_request", { remote: remoteOf(socket), nodeId: null });
    this.#turnedAway.add(socket);
    socket.end(NOT_ALLOWED, () => socket.destroy());
  }

  /** Whether a connection was turned away or is still being answered: each carries one request at a time. */
  #isOccupied(socket: Socket): boolean {
    return this.#turnedAway.has(socket) || this.#latest.get(socket)?.writableEnded === false;
  }

  #knock(head: ProvenHead, remote: string): void {
    if (!this.#knocks.isNew(head.keyId)) return;
    try {
      this.#options.knock?.(callerOf(head, remote), new URL(urlOf(head)));
    } catch {
      // Whoever knocks must not be able to tell what became of it.
    }
  }

  #report(code: ErrorCode, { remote, nodeId }: { remote: string; nodeId: NodeId | null }): void {
    try {
      this.#options.refused?.({ code, remote, nodeId });
    } catch {
      // Called from events of sockets: a fault in a callback must not let a stranger end the node.
    }
  }
}

interface Work {
  head: ProvenHead;
  handler: MeshListenOptions["handler"];
}

function urlOf(head: ProvenHead): string {
  return `https://${TLS_NAME}${head.target}`;
}

function callerOf(head: ProvenHead, remote: string): Caller {
  return { nodeId: head.keyId, publicKey: head.key, signature: head.hash, remote, deadlineMs: head.deadlineMs };
}

function remoteOf(socket: Socket): string {
  return plainAddress(socket.remoteAddress ?? "");
}
