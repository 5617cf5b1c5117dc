import type { PeerAddress } from "./peer_address.ts";
import type { TakeBytes } from "./pump.ts";
import { READ_BUFFER_BYTES, ResponseReader } from "./response_reader.ts";

/** A request to a server that is no node, without encryption: for the owner's own servers. */
export interface PlainRequest {
  /** Where it goes. */
  address: PeerAddress;
  /** `GET` or `POST` */
  method: string;
  /** Path and query. */
  target: string;
  /** Header fields beside `Host`, `Content-Length` and `Connection`; names and values as they may stand in a header. */
  headers: Readonly<Record<string, string>>;
  /** The body, or none. */
  body?: string;
  /** Closes the connection. */
  signal: AbortSignal;
}

/** An answer whose body is read piece by piece. Disposing it closes the connection. */
export interface PlainResponse extends Disposable {
  /** HTTP status. */
  readonly status: number;
  /** Header fields. */
  readonly headers: Headers;
  /**
   * The next bytes of the body, as many as have arrived; null at its end. They hold until the next call.
   *
   * @throws {ArkError} `unavailable` when the connection ends before the body does.
   */
  read(): Promise<Uint8Array<ArrayBuffer> | null>;
  /**
   * Hands the body over piece by piece until its end, which is told by true, or until `take` gives false; it may be called
   * again then, and be mixed with {@linkcode read}.
   */
  pump(take: TakeBytes): Promise<boolean>;
}

const ENCODER = new TextEncoder();

/**
 * Sends one request on a connection of its own.
 *
 * Not `fetch`: the streams that it reads through take most of the time of passing a token on (some 130 of 200
 * microseconds), and a stream that is only passed on has nothing else to do.
 *
 * @throws {ArkError} `unavailable` where the answer is no plain HTTP/1.1.
 * @throws what `Deno.connect` throws, and the reason of `signal`.
 */
export async function plainExchange(request: PlainRequest): Promise<PlainResponse> {
  const { address, signal } = request;
  signal.throwIfAborted();
  const connection = await Deno.connect({ ...address, signal });
  let closed = false;
  const close = () => {
    if (closed) return;
    closed = true;
    signal.removeEventListener("abort", close);
    try {
      connection.close();
    } catch {
      // The other side was faster.
    }
  };
  try {
    signal.throwIfAborted();
    signal.addEventListener("abort", close, { once: true });
    connection.setNoDelay();
    const body = ENCODER.encode(request.body ?? "");
    const head = ENCODER.encode(headOf(request, body.length));
    const bytes = new Uint8Array(head.length + body.length);
    bytes.set(head);
    bytes.set(body, head.length);
    for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
    const buffer = new Uint8Array(READ_BUFFER_BYTES);
    const reader = new ResponseReader((into) => connection.read(into), buffer, { untilClose: true });
    const { status, headers } = await reader.head();
    const [read, pump] = [() => reader.bodyView(), (take: TakeBytes) => reader.pump(take)];
    return { status, headers, read, pump, [Symbol.dispose]: close };
  } catch (error) {
    close();
    signal.throwIfAborted();
    throw error;
  }
}

function headOf(
  { address: { hostname, port }, method, target, headers, body }: PlainRequest,
  bodyBytes: number,
): string {
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  const length = body === undefined ? [] : [`content-length: ${bodyBytes}`];
  const lines = [
    `${method} ${target} HTTP/1.1`,
    `host: ${port === 80 ? host : `${host}:${port}`}`,
    ...length,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    "connection: close",
  ];
  if (lines.some((line) => /[\r\n\0]/.test(line))) throw new TypeError("A line of the head has a line break");
  return lines.join("\r\n") + "\r\n\r\n";
}
