import { Buffer } from "node:buffer";
import { ArkError } from "@ark/node/protocol";
import { PlainClient, pumpFrom, type TakeBytes } from "@ark/node/transport";

/** An answer of an upstream server whose body is read piece by piece. Disposing it before its end closes the connection. */
export interface UpstreamResponse extends Disposable {
  /** HTTP status. */
  readonly status: number;
  /** Header fields. */
  readonly headers: Headers;
  /** The next bytes of the body, which hold until the next call; null at its end. */
  read(): Promise<Uint8Array | null>;
  /** Hands the body over piece by piece until its end, which is told by true, or until `take` gives false. */
  pump(take: TakeBytes): Promise<boolean>;
  /** Wants no more of a body that says by itself that it is complete: the connection may carry another request. */
  finish(): void;
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
export class UpstreamClient implements Disposable {
  /** Without a slash at its end. */
  readonly #base: string;
  /** The path of the base. */
  readonly #path: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #plain: PlainClient | null;

  /** Makes a client of the server at an address without a path at its end. */
  constructor({ origin, key }: { origin: string; key: string | null }) {
    const url = new URL(origin);
    url.search = url.hash = "";
    this.#base = url.href.replace(/\/$/, "");
    this.#path = url.pathname.replace(/\/$/, "");
    const headers = {
      accept: "application/json, text/event-stream",
      "accept-encoding": "identity",
      ...key === null ? {} : { authorization: `Bearer ${key}` },
    };
    this.#headers = headers;
    const address = { hostname: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port || 80) };
    this.#plain = url.protocol === "http:" ? new PlainClient({ address, headers }) : null;
  }

  /**
   * Sends one request. Redirects are not followed: they would take key and prompt elsewhere.
   *
   * @throws where the server cannot be reached.
   */
  async send({ path, body, signal }: UpstreamQuestion): Promise<UpstreamResponse> {
    const json = body === undefined ? undefined : JSON.stringify(body);
    if (this.#plain !== null) {
      return await this.#plain.send({ target: this.#path + path, ...json === undefined ? {} : { json }, signal });
    }
    const response = await fetch(this.#base + path, {
      ...json === undefined ? { headers: this.#headers } : {
        method: "POST",
        headers: { ...this.#headers, "content-type": "application/json" },
        body: json,
      },
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
      // Here a connection that is kept is the affair of `fetch`.
      finish() {},
      [Symbol.dispose]: () => void reader?.cancel().catch(() => {}),
    };
  }

  /** Closes the connections that carry no request now. */
  closeIdle(): void {
    this.#plain?.closeIdle();
  }

  /** Closes the connections that carry no request now; none are kept any more. */
  [Symbol.dispose](): void {
    this.#plain?.[Symbol.dispose]();
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
