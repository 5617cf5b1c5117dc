/** Strangers with proven keys, from any address of the loopback network. */
import { connect, type TLSSocket } from "node:tls";
import { createHash, randomBytes } from "node:crypto";
import { generateIdentity, type Identity, type NodeId } from "@ark/node/identity";
import type { PeerAddress } from "@ark/node/transport";
import { signRequest } from "../../src/transport/signed_request.ts";

/** A request of a stranger: what is asked, and from where. */
export interface StrangersCall {
  /** Path with its query. */
  target: string;
  /** Body, or empty. */
  body?: string;
  /** Address of the loopback network to call from. */
  from?: string;
}

/** Somebody with a key of his own, whom nobody knows. */
export class Stranger {
  /** His key. */
  readonly identity: Identity;

  constructor(identity: Identity = generateIdentity()) {
    this.identity = identity;
  }

  /** Signs a request with a valid, fresh signature, sends it on a connection of its own and returns the answer's status. */
  async call(to: { id: NodeId; address: PeerAddress }, call: StrangersCall): Promise<number> {
    const first = await this.#send(to, call, null);
    if (first.nonce === null) return first.status;
    return (await this.#send(to, call, first.nonce)).status;
  }

  /** As {@linkcode call}, but once: a listener that asks for a nonce gets none. */
  async knock(to: { id: NodeId; address: PeerAddress }, call: StrangersCall): Promise<number> {
    return (await this.#send(to, call, null)).status;
  }

  #send(
    to: { id: NodeId; address: PeerAddress },
    { target, body = "", from = "127.0.0.1" }: StrangersCall,
    nonce: string | null,
  ): Promise<{ status: number; nonce: string | null }> {
    const contentDigest = `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
    const own = randomBytes(16).toString("base64url");
    const head = {
      method: body === "" ? "GET" : "POST",
      target,
      contentType: "application/json",
      contentLength: body.length,
      contentDigest,
      to: to.id,
      deadlineMs: 5_000,
      created: Math.floor(Date.now() / 1_000),
      nonce: nonce === null ? own : `${nonce}.${own}`,
    };
    const { signatureInput, signatureField } = signRequest(this.identity, head);
    const text = [
      `${head.method} ${target} HTTP/1.1`,
      "Host: node.ark.invalid",
      `Ark-To: ${to.id}`,
      "Ark-Deadline: 5000",
      "Content-Type: application/json",
      `Content-Length: ${body.length}`,
      `Content-Digest: ${contentDigest}`,
      `Signature-Input: ${signatureInput}`,
      `Signature: ${signatureField}`,
    ].join("\r\n") + `\r\n\r\n${body}`;
    const { promise, resolve } = Promise.withResolvers<{ status: number; nonce: string | null }>();
    let answer = "";
    const options = {
      host: to.address.hostname,
      port: to.address.port,
      localAddress: from,
      rejectUnauthorized: false,
      servername: "node.ark.invalid",
    };
    const socket: TLSSocket = connect(options);
    socket.once("secureConnect", () => socket.write(text));
    socket.on("data", (chunk) => {
      answer += chunk;
      if (/\r\n\r\n/.test(answer)) socket.destroy();
    });
    // A node that is full cuts the connection without a word.
    socket.on("error", () => {});
    socket.once("close", () => {
      const status = Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0);
      resolve({ status, nonce: /^ark-nonce: (\S+)/im.exec(answer)?.[1] ?? null });
    });
    return promise;
  }
}
