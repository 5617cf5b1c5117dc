import type { KeptConnection, KeptConnections } from "./kept_connections.ts";
import type { TakeBytes } from "./pump.ts";
import { ResponseReader } from "./response_reader.ts";

/** An answer whose body is read piece by piece. */
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
  /**
   * Wants no more of a body that says by itself that it is complete, as streams of events do before they end. Its end is
   * waited for beside, so that the connection can carry another request.
   */
  finish(): void;
  /** Keeps the connection for another request where the body was read to its end, else closes it at once. */
  [Symbol.dispose](): void;
}

/** How long an idle connection is kept where the server does not say: several give it up after five seconds. */
const IDLE_MS = 4_000;
/** By how much sooner than the server says a connection is given up, in milliseconds. */
const EARLIER_MS = 1_000;
/** The longest that an idle connection is kept, whatever the server says, in milliseconds. */
const MOST_IDLE_MS = 60_000;
/** Most of a body that is read to get to its end when nothing more of it is wanted. */
const MOST_REST_BYTES = 4 << 10;

/** One request and its answer on a connection. */
export class PlainExchange implements PlainResponse {
  /** HTTP status; 0 before there is an answer. */
  status = 0;
  /** Header fields. */
  headers = NO_HEADERS;
  /** Hands the body over: see {@linkcode PlainResponse.pump}. It may be called without the exchange. */
  readonly pump: PlainResponse["pump"] = (take) => this.#reader.pump(take);
  readonly #connection: KeptConnection;
  readonly #kept: KeptConnections;
  readonly #signal: AbortSignal;
  readonly #reader: ResponseReader;
  readonly #onAbort: () => void;
  #ended = false;

  /** Takes a connection; when `signal` fires it is closed at once, so that the server notices. */
  constructor(connection: KeptConnection, { kept, signal }: { kept: KeptConnections; signal: AbortSignal }) {
    this.#connection = connection;
    this.#kept = kept;
    this.#signal = signal;
    this.#reader = new ResponseReader((into) => connection.read(into), connection.buffer, { untilClose: true });
    this.#onAbort = () => this.#close();
    signal.addEventListener("abort", this.#onAbort, { once: true });
    if (signal.aborted) this.#close();
  }

  /**
   * Whether a connection that was kept had died while it was idle, so that the request can be sent again on a fresh one: it
   * failed before a byte of an answer came.
   */
  get stale(): boolean {
    return !this.#reader.sawBytes && !this.#signal.aborted;
  }

  /**
   * Sends a request and reads the head of the answer.
   *
   * @throws {ArkError} `unavailable` where the answer is no plain HTTP/1.1.
   * @throws what the connection fails with, and the reason of the signal. The connection is closed then.
   */
  async start(request: Uint8Array): Promise<void> {
    try {
      await this.#connection.write(request);
      const { status, headers } = await this.#reader.head();
      this.status = status;
      this.headers = headers;
    } catch (error) {
      this.#close();
      this.#signal.throwIfAborted();
      throw error;
    }
  }

  /** The next bytes of the body: see {@linkcode PlainResponse.read}. */
  read(): Promise<Uint8Array<ArrayBuffer> | null> {
    return this.#reader.bodyView();
  }

  /** Wants no more of the body: see {@linkcode PlainResponse.finish}. */
  finish(): void {
    if (this.#reader.done) return this[Symbol.dispose]();
    if (this.#end()) void this.#kept.keepAfter(this.#connection, this.#rest());
  }

  /** Keeps the connection, or closes it: see {@linkcode PlainResponse}. */
  [Symbol.dispose](): void {
    if (!this.#reader.reusable) return this.#close();
    if (this.#end()) this.#kept.keep(this.#connection, idleMs(this.headers));
  }

  /** Lets go of the connection; false where that was done before. */
  #end(): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.#signal.removeEventListener("abort", this.#onAbort);
    return true;
  }

  #close(): void {
    if (this.#end()) this.#connection.close();
  }

  /** Reads the end of the body; for how long the connection may be kept then. */
  async #rest(): Promise<number> {
    let left = MOST_REST_BYTES;
    for (let bytes = await this.read(); bytes !== null && left > 0; bytes = await this.read()) left -= bytes.length;
    return this.#reader.reusable ? idleMs(this.headers) : 0;
  }
}

const NO_HEADERS = new Headers();

/** How long an idle connection is kept, by what the server says of it. */
function idleMs(headers: Headers): number {
  const field = headers.get("keep-alive");
  const seconds = field === null ? undefined : /\btimeout=(\d{1,6})\b/i.exec(field)?.[1];
  return seconds === undefined ? IDLE_MS : Math.min(Number(seconds) * 1_000 - EARLIER_MS, MOST_IDLE_MS);
}
