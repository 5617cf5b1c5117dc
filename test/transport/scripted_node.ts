/** A node that answers over real TLS as a script has it, byte by byte. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import { generateIdentity, type Identity } from "@ark/node/identity";
import type { MeshPeer } from "@ark/node/transport";
import { mintCertificate } from "../../src/transport/certificate.ts";
import { signResponse } from "../../src/transport/signed_response.ts";

/** A request as it arrived. */
export interface Arrived {
  /** Request line and fields, without the blank line. */
  head: string;
  /** Bytes of the signature. */
  signature: Uint8Array<ArrayBuffer>;
  /** Which connection it came on, counted from 0. */
  connection: number;
  /** How many requests came before it. */
  index: number;
}

/** Answers a request. */
export type Script = (request: Arrived, socket: TLSSocket) => void;

/** Options of {@linkcode ScriptedNode.start}. */
export interface ScriptedNodeOptions {
  /** Whose key it has. */
  identity?: Identity;
}

/** The node. Bodies of requests are skipped. */
export class ScriptedNode implements AsyncDisposable {
  readonly identity: Identity;
  /** What arrived. */
  readonly requests: Arrived[] = [];
  /** Connections that were made so far. */
  connections = 0;
  /** Connections that are open now. */
  readonly open = new Set<TLSSocket>();
  readonly #server;

  private constructor(script: Script, { identity = generateIdentity() }: ScriptedNodeOptions) {
    this.identity = identity;
    const options = { cert: mintCertificate(identity), key: identity.privateKeyPem(), minVersion: "TLSv1.3" } as const;
    this.#server = createServer({ ...options, ALPNProtocols: ["http/1.1"] }, (socket) => {
      const connection = this.connections++;
      this.open.add(socket);
      socket.on("error", () => {});
      socket.once("close", () => this.open.delete(socket));
      let text = "";
      let skip = 0;
      socket.on("data", (bytes) => {
        text += bytes.toString("latin1");
        for (;;) {
          const skipped = Math.min(skip, text.length);
          text = text.slice(skipped);
          skip -= skipped;
          const end = text.indexOf("\r\n\r\n");
          if (end === -1) return;
          const head = text.slice(0, end);
          text = text.slice(end + 4);
          skip = Number(head.match(/^content-length: (\d+)$/im)?.[1] ?? 0);
          const request = { head, signature: signatureIn(head), connection, index: this.requests.length };
          this.requests.push(request);
          script(request, socket);
        }
      });
    });
  }

  static async start(script: Script, options: ScriptedNodeOptions = {}): Promise<ScriptedNode> {
    const node = new ScriptedNode(script, options);
    node.#server.listen(0, "127.0.0.1");
    await once(node.#server, "listening");
    return node;
  }

  /** Whom a client has to ask. */
  get peer(): MeshPeer {
    const { port } = this.#server.address() as AddressInfo;
    return { id: this.identity.id, addresses: [{ hostname: "127.0.0.1", port }] };
  }

  /** The fields that sign an answer to a request. */
  sign(request: Pick<Arrived, "signature">, options: { status?: number } = {}): string {
    return signedFields(this.identity, { ...options, request: request.signature });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.open) socket.destroy();
    await closed;
  }
}

function signedFields(
  identity: Identity,
  { status = 200, request }: { status?: number; request: Uint8Array<ArrayBuffer> },
): string {
  const head = { status, contentType: "text/plain", request, created: 1_790_000_000 };
  const fields = { "content-type": head.contentType, ...signResponse(identity, head) };
  return Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`).join("");
}

function signatureIn(head: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromBase64(head.match(/^signature: ark=:(.*):$/im)?.[1] ?? "");
}

/** A node that reads the head of one request on each connection, and nothing after it; it answers, or does not. */
export class DeafNode implements AsyncDisposable {
  readonly identity: Identity = generateIdentity();
  /** Connections that were made so far. */
  connections = 0;
  readonly #listener: Deno.TlsListener;
  readonly #open: Deno.TlsConn[] = [];
  readonly #accepting: Promise<void>;

  constructor({ answers }: { answers: boolean }) {
    const { identity } = this;
    const options = { cert: mintCertificate(identity), key: identity.privateKeyPem(), alpnProtocols: ["http/1.1"] };
    this.#listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...options });
    this.#accepting = this.#accept({ answers });
  }

  /** Whom a client has to ask. */
  get peer(): MeshPeer {
    return { id: this.identity.id, addresses: [{ hostname: "127.0.0.1", port: this.#listener.addr.port }] };
  }

  async #accept({ answers }: { answers: boolean }): Promise<void> {
    for await (const conn of this.#listener) {
      this.connections++;
      this.#open.push(conn);
      let text = "";
      while (!text.includes("\r\n\r\n")) {
        const buffer = new Uint8Array(4_096);
        text += new TextDecoder("latin1").decode(buffer.subarray(0, await conn.read(buffer) ?? assert.fail()));
      }
      const [head = ""] = text.split("\r\n\r\n");
      const fields = signedFields(this.identity, { request: signatureIn(head) });
      const answer = `HTTP/1.1 200 OK\r\n${fields}Content-Length: 2\r\n\r\nok`;
      if (answers) await conn.write(new TextEncoder().encode(answer));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    for (const conn of this.#open) conn.close();
  }
}
