import { Buffer } from "node:buffer";
import { ChunkSink } from "./chunk_sink.ts";
import { closeQuietly } from "./close_quietly.ts";
import { isSoon } from "./is_soon.ts";
import { joined } from "./joined.ts";
import { pushedBody } from "./pushed_body.ts";
import { RequestFault, type RequestHead, RequestReader } from "./request_reader.ts";
import { headBytes } from "./response_head.ts";
import { type ByteSink, SocketWriter } from "./socket_writer.ts";
import type { PlainSocket } from "./tls_listener.ts";
import { noteWhole } from "./whole_body.ts";

/** Answers a request from an IP address. */
export type PlainHandler = (request: Request, from: { remote: string }) => Promise<Response>;

/** Times of a {@linkcode PlainConnection}, in milliseconds. */
export interface PlainTimes {
  /** How long it may carry no request. */
  idleMs: number;
  /** How long the head of a request may take. */
  headMs: number;
  /** How long a sender gets to read an answer that came before its body was read. */
  lingerMs: number;
}

const CONTINUE = Buffer.from("HTTP/1.1 100 Continue\r\n\r\n");
const LAST_CHUNK = Buffer.from("0\r\n\r\n");

/** One connection of a client: it carries one request at a time. */
export class PlainConnection {
  /** Monotonic time at which it is cut, in milliseconds. */
  until: number;
  readonly #socket: PlainSocket;
  readonly #handler: PlainHandler;
  readonly #limits: PlainTimes;
  readonly #reader: RequestReader;
  readonly #writer: SocketWriter;
  readonly #remote: string;
  /** Of the request that is being answered. */
  #client: AbortController | null = null;
  #cut = false;
  #last = false;

  /** Takes over a connection; see {@linkcode serve}. */
  constructor(socket: PlainSocket, { handler, limits }: { handler: PlainHandler; limits: PlainTimes }) {
    this.#socket = socket;
    this.#handler = handler;
    this.#limits = limits;
    this.#remote = socket.remoteAddr.hostname;
    this.until = performance.now() + limits.idleMs;
    const counted = {
      read: async (buffer: Uint8Array) => {
        const count = await socket.read(buffer);
        // The time of a head begins with its first byte.
        if (this.#client === null && this.#reader.idle) this.until = performance.now() + limits.headMs;
        return count;
      },
    };
    this.#reader = new RequestReader(counted);
    this.#writer = new SocketWriter(socket, () => this.cut());
  }

  /** Answers the requests that come. Never rejects. */
  async serve(): Promise<void> {
    try {
      this.#socket.setNoDelay?.();
      while (!this.#cut && await this.#next()) {
        this.#client = null;
        this.until = performance.now() + (this.#reader.idle ? this.#limits.idleMs : this.#limits.headMs);
        if (this.#last) break;
      }
      await this.#writer.flushed();
    } catch {
      // The client has left, or broke off, or what it says is no HTTP: there is nobody to tell.
    } finally {
      this.cut();
    }
  }

  /** Closes it after the request that is being answered; at once where there is none. */
  drain(): void {
    this.#last = true;
    if (this.#client === null) this.cut();
  }

  /** Closes it at once. */
  cut(): void {
    if (this.#cut) return;
    this.#cut = true;
    closeQuietly(this.#socket);
    this.#client?.abort(new DOMException("The client has left", "AbortError"));
  }

  /** Answers one request; false where it was the last one of the connection. */
  async #next(): Promise<boolean> {
    let head: RequestHead | null;
    try {
      head = await this.#reader.head();
    } catch (error) {
      if (!(error instanceof RequestFault)) throw error;
      await this.#refuse(error);
      return false;
    }
    if (head === null) return false;
    this.until = Infinity;
    const client = this.#client = new AbortController();
    const request = this.#request(head, client);
    if (request === null) {
      await this.#refuse(new RequestFault(400, "The request is malformed"));
      return false;
    }
    let response: Response;
    try {
      response = await this.#handler(request, { remote: this.#remote });
    } catch {
      response = new Response(null, { status: 500 });
    }
    return await this.#answer(head, response);
  }

  #request(head: RequestHead, client: AbortController): Request | null {
    const { method, target, headers } = head;
    const whole = /^https?:\/\/[^/]+/i.exec(target);
    if (whole === null && !target.startsWith("/")) return null;
    const url = whole === null ? `http://${headers.get("host") ?? ""}${target}` : target;
    try {
      const empty = method === "GET" || method === "HEAD";
      const body = empty ? null : this.#body(head);
      if (body === null && this.#reader.done) this.#watch();
      const request = new Request("http://localhost/", { method, body });
      if (body !== null && head.length >= 0) noteWhole(request, () => this.#whole(head));
      // As they were sent, which is what guards look at, and without the work of parsing and copying.
      Object.defineProperties(request, {
        url: { value: url },
        headers: { value: headers },
        signal: { value: client.signal },
      });
      return request;
    } catch {
      // A method that no request of the web may have.
      return null;
    }
  }

  #body({ waits, length }: RequestHead): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    const reader = this.#reader;
    if (length === 0) return null;
    let asked = waits;
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        if (asked && !reader.arrived) this.#writer.write(CONTINUE);
        asked = false;
        try {
          const bytes = await reader.body();
          if (bytes !== null) controller.enqueue(bytes);
          if (reader.done) {
            controller.close();
            this.#watch();
          }
        } catch (error) {
          controller.error(error);
          this.cut();
        }
      },
    }, { highWaterMark: 0 });
  }

  async #whole({ waits }: RequestHead): Promise<Uint8Array<ArrayBuffer>> {
    if (waits && !this.#reader.arrived) this.#writer.write(CONTINUE);
    try {
      const bytes = await this.#reader.whole();
      this.#watch();
      return bytes;
    } catch (error) {
      this.cut();
      throw error;
    }
  }

  #watch(): void {
    this.#reader.watch(() => this.cut());
  }

  /** Writes an answer; false where nothing can follow it. */
  async #answer(head: RequestHead, response: Response): Promise<boolean> {
    const { body, status } = response;
    if (this.#cut) {
      await body?.cancel().catch(() => {});
      return false;
    }
    const keep = head.keepAlive && !this.#last && this.#reader.done;
    const bare = head.method === "HEAD" || status === 204 || status === 304;
    const begin = (framing: string) => headBytes(response, `${framing}${keep ? "" : "connection: close\r\n"}`);
    if (body === null || bare) {
      await body?.cancel().catch(() => {});
      this.#writer.write(begin(body === null && !bare ? "content-length: 0\r\n" : ""));
    } else {
      const framing = head.old ? "" : "transfer-encoding: chunked\r\n";
      const sink = head.old ? this.#writer : new ChunkSink(this.#writer);
      const pushed = pushedBody(body);
      if (pushed !== null) {
        this.#writer.write(begin(framing));
        await pushed.pipe(sink);
      } else if (!await this.#copy(body, { sink, begin, framing })) return await this.#rest(keep);
      if (this.#cut) return false;
      if (!head.old) this.#writer.write(LAST_CHUNK);
    }
    return await this.#rest(keep);
  }

  /** Writes a stream; false where it was short enough to say its length. */
  async #copy(
    body: ReadableStream<Uint8Array>,
    { sink, begin, framing }: { sink: ByteSink; begin: (framing: string) => Uint8Array; framing: string },
  ): Promise<boolean> {
    const reader = body.getReader();
    const cancel = () => void reader.cancel().catch(() => {});
    this.#client?.signal.addEventListener("abort", cancel, { once: true });
    let ended = false;
    try {
      let next = reader.read();
      const first = await isSoon(next) ? await next : null;
      if (first?.done) {
        ended = true;
        this.#writer.write(begin("content-length: 0\r\n"));
        return false;
      }
      if (first !== null) {
        next = reader.read();
        if (await isSoon(next) && (await next).done) {
          ended = true;
          this.#writer.write(joined([begin(`content-length: ${first.value.length}\r\n`), first.value]));
          return false;
        }
        // Whoever waits for room must not leave a failing read unobserved.
        next.catch(() => {});
      }
      this.#writer.write(begin(framing));
      const wait = first === null ? null : sink.write(first.value);
      if (wait !== null) await wait;
      for (let chunk = await next; !chunk.done; chunk = await reader.read()) {
        const wait = sink.write(chunk.value);
        if (wait !== null) await wait;
        if (this.#cut) return true;
      }
      ended = true;
      return true;
    } finally {
      if (!ended) cancel();
      this.#client?.signal.removeEventListener("abort", cancel);
    }
  }

  /** Ends an exchange. Closing while the body still arrives would reset the connection and lose the answer. */
  async #rest(keep: boolean): Promise<boolean> {
    await this.#writer.flushed();
    if (this.#reader.done || this.#cut) return keep && !this.#cut;
    await this.#linger();
    return false;
  }

  async #linger(): Promise<void> {
    await this.#socket.closeWrite().catch(() => {});
    this.until = performance.now() + this.#limits.lingerMs;
    const timer = setTimeout(() => this.cut(), this.#limits.lingerMs);
    try {
      const buffer = new Uint8Array(64 << 10);
      while (!this.#cut && await this.#socket.read(buffer) !== null);
    } catch {
      // It had enough.
    } finally {
      clearTimeout(timer);
    }
  }

  async #refuse({ status, message }: RequestFault): Promise<void> {
    const response = new Response(null, { status, headers: { "content-type": "text/plain" } });
    const framing = `content-length: ${message.length}\r\nconnection: close\r\n`;
    this.#writer.write(joined([headBytes(response, framing), Buffer.from(message)]));
    await this.#writer.flushed();
    await this.#linger();
  }
}
