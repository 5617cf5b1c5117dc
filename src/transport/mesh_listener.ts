import { Buffer } from "node:buffer";
import type { AddressInfo, Socket } from "node:net";
import type { Server, TLSSocket } from "node:tls";
import type { Identity, NodeId } from "@ark/node/identity";
import type { ErrorCode } from "@ark/node/protocol";
import { Authenticator, type ProvenHead } from "./authenticator.ts";
import type { Caller } from "./caller.ts";
import { type Clock, SYSTEM_CLOCK } from "./clock.ts";
import { joined } from "./joined.ts";
import { Knocks } from "./knocks.ts";
import { writeAnswer } from "./mesh_answer.ts";
import { type ConnectionOwner, MeshConnection } from "./mesh_connection.ts";
import type { MeshHead } from "./mesh_head.ts";
import { MESH_LIMITS, type MeshLimits } from "./mesh_limits.ts";
import type { MeshListenOptions } from "./mesh_listen_options.ts";
import { SignedRequest, urlOf } from "./mesh_request.ts";
import { meshServer } from "./mesh_server.ts";
import { MeshSockets } from "./mesh_sockets.ts";
import { type RefusalCode, REFUSALS } from "./refusal.ts";
import { ReplayWindow } from "./replay_window.ts";
import { fieldLines, statusLine } from "./response_writer.ts";
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
  const listener = new TlsMeshListener(options);
  await listener.listen(options);
  return listener;
}

class TlsMeshListener implements MeshListener, ConnectionOwner {
  hostname = "";
  port = 0;
  readonly limits: MeshLimits;
  readonly #identity: Identity;
  readonly #options: MeshListenOptions;
  readonly #clock: Clock;
  readonly #authenticator: Authenticator;
  readonly #sockets: MeshSockets;
  readonly #server: Server;
  readonly #connections = new Set<MeshConnection>();
  readonly #knocks: Knocks;
  /** What answers say of the time, made beforehand. */
  #date = new Date().toUTCString();
  #timer: ReturnType<typeof setInterval> | undefined;
  /** Requests that are being answered, and who waits for their end. */
  #running = 0;
  #settled: PromiseWithResolvers<void> | null = null;

  constructor(options: MeshListenOptions) {
    const { identity, standing, clock = SYSTEM_CLOCK } = options;
    const limits = { ...MESH_LIMITS, ...options.limits };
    this.#identity = identity;
    this.#options = options;
    this.limits = limits;
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
    this.#timer = setInterval(() => {
      this.#date = new Date().toUTCString();
      const now = performance.now();
      for (const connection of this.#connections) connection.look(now);
    }, this.limits.checkMs);
  }

  disconnect(id: NodeId): number {
    return this.#sockets.destroy(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#sockets.destroyAll();
    await promise;
    if (this.#running > 0) await (this.#settled ??= Promise.withResolvers<void>()).promise;
  }

  asked(connection: MeshConnection, head: MeshHead): void {
    try {
      this.#serve(connection, head);
    } catch {
      // A fault in `standing` lets nobody in, and must not let a stranger's request end the node.
      this.#report("internal", { remote: connection.remote, nodeId: null });
      connection.close();
    }
  }

  malformed({ remote }: MeshConnection): void {
    this.#report("bad_request", { remote, nodeId: null });
  }

  closed(connection: MeshConnection): void {
    this.#connections.delete(connection);
  }

  #createServer(): Server {
    const server = meshServer(this.#identity, {
      limits: this.limits,
      admits: (socket) => {
        // A destroyed socket does not say any more where it came from.
        const remote = remoteOf(socket);
        if (this.#sockets.admit(socket)) return true;
        this.#report("busy", { remote, nodeId: null });
        return false;
      },
    });
    server.on("secureConnection", (socket: TLSSocket) => {
      if (!socket.destroyed) this.#connections.add(new MeshConnection(socket, this));
    });
    server.on("tlsClientError", (error: NodeJS.ErrnoException, socket: TLSSocket) => {
      // A caller that hangs up is no attack; whoever speaks no TLS, or is late, gets no answer.
      if (error.code !== "ECONNRESET") this.#report("bad_request", { remote: remoteOf(socket), nodeId: null });
      socket.destroy();
    });
    return server;
  }

  #serve(connection: MeshConnection, raw: MeshHead): void {
    const verdict = this.#authenticator.check(raw);
    if (verdict.head !== null && verdict.outcome === "refused" && verdict.standing === "unknown") {
      this.#knock(verdict.head, connection.remote);
    }
    if (verdict.outcome === "refused") {
      const { code, head, standing, nonce } = verdict;
      if (standing === "approved" && head !== null) this.#proven(connection, head.keyId);
      return this.#refuse(connection, { code, head, ...(nonce === undefined ? {} : { nonce }) });
    }
    const { head, introduction } = verdict;
    // Whoever introduces himself stays a stranger to the limits of connections.
    if (!introduction || this.#options.standing(head.keyId) === "approved") this.#proven(connection, head.keyId);
    const handler = introduction ? this.#options.introductions?.handler : this.#options.handler;
    if (handler === undefined) return connection.close();
    const request = new SignedRequest(head, connection);
    connection.accept(request);
    void this.#run(connection, { request, handler });
  }

  async #run(connection: MeshConnection, work: Work): Promise<void> {
    this.#running++;
    try {
      await this.#answer(connection, work);
    } catch {
      connection.close();
    }
    if (--this.#running === 0) this.#settled?.resolve();
  }

  async #answer(connection: MeshConnection, { request, handler }: Work): Promise<void> {
    const { head } = request;
    let response: Response;
    try {
      response = await handler(request, callerOf(head, connection.remote));
    } catch {
      // A handler that gives up because the caller is gone has no fault.
      if (request.left && !request.forged) return;
      return this.#refuse(connection, { code: request.forged ? "unauthenticated" : "internal", head });
    }
    if (request.forged) this.#refuse(connection, { code: "unauthenticated", head });
    await writeAnswer(connection, {
      request,
      response,
      date: this.#date,
      sign: (status, contentType) => this.#signed({ status, contentType, head }),
    });
  }

  /** Turns a request away. Whoever is known to have signed it gets a signed answer, everybody else the uniform one. */
  #refuse(
    connection: MeshConnection,
    { code, head, nonce }: { code: RefusalCode; head: ProvenHead | null; nonce?: string },
  ): void {
    this.#report(code, { remote: connection.remote, nodeId: head?.keyId ?? null });
    const { status, body } = REFUSALS[code];
    const contentType = "application/json";
    const text = `${statusLine(status)}content-type: ${contentType}\r\ncontent-length: ${body.length}\r\n`;
    if (head !== null && nonce !== undefined) {
      // The caller asks again at once: the connection stays.
      const date = new Date(this.#clock.wallMs()).toUTCString();
      const fields = { date, "ark-nonce": nonce, ...this.#signed({ status, contentType, head }) };
      connection.writer.begin(text + connection.farewell + fieldLines(fields), body.length);
      return connection.writer.pass(body);
    }
    const hurry = code === "busy" ? { "retry-after": "60" } : {};
    const signed = code === "unauthenticated" || head === null ? {} : this.#signed({ status, contentType, head });
    // Without a date, which would make answers differ.
    const answer = text + fieldLines({ ...hurry, ...signed, connection: "close" });
    connection.turnAway(joined([Buffer.from(answer, "latin1"), body]));
  }

  /** Notes who proved himself on a connection; the same peer does so with each of its requests. */
  #proven(connection: MeshConnection, id: NodeId): void {
    if (connection.provenBy === id) return;
    connection.provenBy = id;
    this.#sockets.proven(connection.socket, id);
  }

  #signed(answer: { status: number; contentType: string; head: ProvenHead }): Record<string, string> {
    const { status, contentType, head } = answer;
    const created = Math.max(0, Math.floor(this.#clock.wallMs() / 1_000));
    return signResponse(this.#identity, { status, contentType, request: head.signature, created });
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
  request: SignedRequest;
  handler: MeshListenOptions["handler"];
}

function callerOf(head: ProvenHead, remote: string): Caller {
  return { nodeId: head.keyId, publicKey: head.key, signature: head.hash, remote, deadlineMs: head.deadlineMs };
}

function remoteOf(socket: Socket): string {
  return plainAddress(socket.remoteAddress ?? "");
}
