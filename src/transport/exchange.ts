import { ArkError } from "@ark/node/protocol";
import type { Lease } from "./connection_pool.ts";
import type { PeerAddress } from "./peer_address.ts";
import type { TakeBytes } from "./pump.ts";
import { type IncomingHead, ResponseReader } from "./response_reader.ts";

/** How long a peer that has answered already may take to take the rest of the request. */
const REST_MS = 1_000;

/** One request and its response on a lent connection. Ends by giving the connection back, exactly once. */
export class Exchange {
  readonly #lease: Lease;
  readonly #signal: AbortSignal;
  readonly #reader: ResponseReader;
  readonly #onAbort: () => void;
  #written: Promise<void> = Promise.resolve();
  #wrote = false;
  #ended = false;

  /** Takes a connection; when `signal` fires it is closed at once, so that the other side notices. */
  constructor(lease: Lease, signal: AbortSignal) {
    const { connection } = lease;
    this.#lease = lease;
    this.#signal = signal;
    this.#reader = new ResponseReader((buffer) => connection.read(buffer), connection.buffer);
    this.#onAbort = () => connection.close();
    signal.addEventListener("abort", this.#onAbort, { once: true });
    if (signal.aborted) this.#onAbort();
  }

  /** Whether the connection had died while it was idle, so that the request can be sent again on a fresh one. */
  get stale(): boolean {
    return this.#lease.connection.uses > 1 && !this.#reader.sawBytes && !this.#signal.aborted;
  }

  /** Where the connection leads. */
  get address(): PeerAddress {
    return this.#lease.connection.address;
  }

  /** Whether the whole response has been read. */
  get done(): boolean {
    return this.#reader.done;
  }

  /**
   * Sends a request and reads the head of the response. The response may come before the request is sent: a refusal does.
   *
   * @throws {ArkError} `unavailable`, or the reason of the signal. The exchange has ended then.
   */
  async start(request: Uint8Array): Promise<IncomingHead> {
    const { connection } = this.#lease;
    this.#written = connection.write(request).then(() => void (this.#wrote = true), () => {});
    try {
      return await this.#reader.head();
    } catch (error) {
      this.end("broken");
      await this.#written;
      throw this.#explain(error);
    }
  }

  /**
   * Reads the next bytes of the body; null at its end.
   *
   * @throws {ArkError} `unavailable`, or the reason of the signal. The exchange has ended then.
   */
  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    try {
      return await this.#reader.body();
    } catch (error) {
      throw this.failed(error);
    }
  }

  /** The same, but the bytes hold until the next call only, and what it rejects with is to go to {@linkcode failed}. */
  readView(): Promise<Uint8Array<ArrayBuffer> | null> {
    return this.#reader.bodyView();
  }

  /** Reads the rest of the body into a buffer; tells how long it is. What it rejects with is to go to {@linkcode failed}. */
  readInto(buffer: Uint8Array, arrived?: (bytes: number) => void): Promise<number> {
    return this.#reader.bodyInto(buffer, arrived);
  }

  /** Hands the body over piece by piece: see {@linkcode ResponseReader.pump}. */
  pump(take: TakeBytes): Promise<boolean> {
    return this.#reader.pump(take);
  }

  /** Ends the exchange with what reading failed with, and says what that means. */
  failed(error: unknown): unknown {
    this.end("broken");
    return this.#explain(error);
  }

  /** Gives the connection back: for another request if the response is complete, else closed. */
  async finish(): Promise<void> {
    if (this.#ended) return;
    if (!this.#reader.reusable) return this.end("broken");
    if (!this.#wrote) await this.#rest();
    this.end(this.#wrote ? "reusable" : "broken");
  }

  /** Gives the connection back at once. */
  end(how: "reusable" | "broken"): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#lease.release(how);
  }

  /** Waits until the request is sent, but not for ever: the peer may have no mind to read it. */
  async #rest(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, REST_MS);
    await Promise.race([this.#written, promise]);
    clearTimeout(timer);
  }

  #explain(error: unknown): unknown {
    if (this.#signal.aborted) return this.#signal.reason;
    if (error instanceof ArkError) return error;
    return new ArkError("unavailable", "The connection to the peer was lost", { cause: error });
  }
}
