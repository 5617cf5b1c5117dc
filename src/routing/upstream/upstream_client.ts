import { Buffer } from "node:buffer";
import { ArkError } from "@ark/node/protocol";
import { plainExchange, pumpFrom, type TakeBytes } from "@ark/node/transport";

/** An answer of an upstream server whose body is read piece by piece. Disposing it closes the connection. */
export interface UpstreamResponse extends Disposable {
  /** HTTP status. */
  readonly status: number;
  /** Header fields. */
  readonly headers: Headers;
  /** The next bytes of the body, which hold until the next call; null at its end. */
  read(): Promise<Uint8Array | null>;
  /** Hands the body over piece by piece until its end, which is told by true, or until `take` gives false. */
  pump(take: TakeBytes): Promise<boolean>;
}

/** What is sent to an upstream server. */
export interface UpstreamQuestion {
  /** Path below the server's base. */
  path: string;
  /** The body as JSON, or none for a `GET`. */
  body?: unknown;
  /** Closes the connection. */
  signal: AbortSignal;
}

/** Carries requests to one server: over plain HTTP by the transport's own reader, else by `fetch`. */
export class UpstreamClient {
  readonly #origin: URL;
  readonly #key: string | null;

  /** Makes a client of the server at an address without a path at its end. */
  constructor({ origin, key }: { origin: string; key: string | null }) {
    this.#origin = new URL(origin);
    this.#key = key;
  }

  /**
   * Sends one request. Redirects are not followed: they would take key and prompt elsewhere.
   *
   * @throws where the server cannot be reached.
   */
  async send({ path, body, signal }: UpstreamQuestion): Promise<UpstreamResponse> {
    const key = this.#key === null ? {} : { authorization: `Bearer ${this.#key}` };
    const headers = {
      accept: "application/json, text/event-stream",
      "accept-encoding": "identity",
      ...body === undefined ? {} : { "content-type": "application/json" },
      ...key,
    };
    const method = body === undefined ? "GET" : "POST";
    const json = body === undefined ? {} : { body: JSON.stringify(body) };
    const { protocol, hostname, port, pathname } = this.#origin;
    const target = `${pathname === "/" ? "" : pathname}${path}`;
    if (protocol === "http:") {
      const address = { hostname: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 80) };
      return await plainExchange({ address, method, target, headers, ...json, signal });
    }
    const response = await fetch(new URL(target, this.#origin), {
      method,
      headers,
      ...json,
      signal,
      redirect: "manual",
    });
    const reader = response.body?.getReader();
    const read = async () => (await reader?.read())?.value ?? null;
    return {
      status: response.status,
      headers: response.headers,
      read,
      pump: (take) => pumpFrom(read, take),
      [Symbol.dispose]: () => void reader?.cancel().catch(() => {}),
    };
  }
}

/**
 * A whole body as text, of at most so many bytes.
 *
 * @throws {ArkError} `unavailable` where it is longer.
 */
export async function textOf(response: UpstreamResponse, most: number): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for (let bytes = await response.read(); bytes !== null; bytes = await response.read()) {
    size += bytes.length;
    if (size > most) throw new ArkError("unavailable", "The server sent more than an answer may hold");
    pieces.push(bytes.slice());
  }
  return Buffer.concat(pieces, size).toString();
}
