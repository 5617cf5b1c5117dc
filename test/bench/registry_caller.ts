/** A client of a registry with a certificate: one kept connection from an address of the loopback that it is told. */
import { Agent, request } from "node:https";

/** What a registry answered. */
export interface RegistryAnswer {
  /** HTTP status. */
  status: number;
  /** The body, as text. */
  body: string;
}

/** One source of requests. Registries count by address, and the loopback has sixteen million of them. */
export class RegistryCaller implements Disposable {
  readonly #agent: Agent;
  readonly #to: { host: string; port: number; ca: string; servername: string };
  readonly #localAddress: string;

  /** Connects with the first request. */
  constructor(to: { port: number; ca: string }, localAddress: string) {
    this.#to = { host: "127.0.0.1", servername: "localhost", ...to };
    this.#localAddress = localAddress;
    this.#agent = new Agent({ keepAlive: true, maxSockets: 1 });
  }

  /** Makes a request; with a body it is a POST. */
  ask(path: string, body?: string): Promise<RegistryAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<RegistryAnswer>();
    const sent = request({
      ...this.#to,
      agent: this.#agent,
      localAddress: this.#localAddress,
      path,
      method: body === undefined ? "GET" : "POST",
      headers: body === undefined
        ? {}
        : { "content-type": "application/json", "content-length": new TextEncoder().encode(body).length },
      timeout: 60_000,
    }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => text += piece);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: text }));
      response.on("error", reject);
    });
    sent.on("timeout", () => sent.destroy(new Error("The registry did not answer within a minute")));
    sent.on("error", reject);
    sent.end(body);
    return promise;
  }

  /** Closes its connection. */
  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

/** The address of the loopback with this number, from 127.1.0.1 on. */
export function loopbackAddress(index: number): string {
  const [high, low] = [Math.floor(index / 250), index % 250];
  return `127.${1 + Math.floor(high / 250)}.${high % 250}.${1 + low}`;
}
