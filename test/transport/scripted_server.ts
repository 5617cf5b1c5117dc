import { Buffer } from "node:buffer";
import type { PeerAddress } from "@ark/node/transport";

/** A request that arrived. */
export interface ScriptedRequest {
  /** Which connection it came on, from 1. */
  connection: number;
  /** Which one of its connection it is, from 1. */
  nth: number;
  /** All of it. */
  text: string;
}

/** What is written, and whether the connection is closed after it. */
export type ScriptedAnswer = string | { say: string; close?: boolean };

/** A server whose answers are written byte by byte as a test says, on a free port of the loopback. */
export class ScriptedServer implements AsyncDisposable {
  /** What arrived. */
  readonly asked: Omit<ScriptedRequest, "nth">[] = [];
  /** Connections that there were. */
  connections = 0;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open = new Map<number, Deno.TcpConn>();
  readonly #answer: (request: ScriptedRequest) => ScriptedAnswer;
  readonly #running: Promise<unknown>[] = [];

  constructor(answer: (request: ScriptedRequest) => ScriptedAnswer) {
    this.#answer = answer;
    this.#running.push(this.#accept());
  }

  get address(): PeerAddress {
    return { hostname: "127.0.0.1", port: this.#listener.addr.port };
  }

  /** Connections that neither side has closed. */
  get open(): number {
    return this.#open.size;
  }

  /** Closes every connection. */
  hangUp(): void {
    for (const connection of this.#open.keys()) this.#close(connection);
  }

  /** Writes something on a connection, unasked. */
  async say(connection: number, text: string): Promise<void> {
    await this.#open.get(connection)?.write(Buffer.from(text));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.hangUp();
    await Promise.all(this.#running);
  }

  async #accept(): Promise<void> {
    try {
      for await (const tcp of this.#listener) {
        const connection = ++this.connections;
        this.#open.set(connection, tcp);
        this.#running.push(this.#serve(connection, tcp).catch(() => {}).finally(() => this.#close(connection)));
      }
    } catch {
      // It was closed.
    }
  }

  async #serve(connection: number, tcp: Deno.TcpConn): Promise<void> {
    let held = "";
    const buffer = Buffer.alloc(64 << 10);
    for (let nth = 1;;) {
      const count = await tcp.read(buffer);
      if (count === null) return;
      held += buffer.toString("utf8", 0, count);
      const head = held.indexOf("\r\n\r\n") + 4;
      const length = Number(/content-length: (\d+)/.exec(held)?.[1] ?? 0);
      if (head < 4 || Buffer.byteLength(held.slice(head)) < length) continue;
      const answer = this.#answer({ connection, nth: nth++, text: held });
      this.asked.push({ connection, text: held });
      held = "";
      const { say, close = false } = typeof answer === "string" ? { say: answer } : answer;
      if (say !== "") await tcp.write(Buffer.from(say));
      if (close) return;
    }
  }

  #close(connection: number): void {
    const tcp = this.#open.get(connection);
    this.#open.delete(connection);
    try {
      tcp?.close();
    } catch {
      // The other side was faster.
    }
  }
}
